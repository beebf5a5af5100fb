"""The states of a redemption and what may happen in each. `lifecycle.py` has the diagram and does the work."""

from collections.abc import Mapping
from enum import StrEnum

from bridge.errors import Conflict
from bridge.redemptions.repository import Redemption
from bridge.redemptions.tables import State


class RedemptionEvent(StrEnum):
    """What happens to a redemption. `lifecycle.py` says what causes each."""

    ACTIVATE = "activate"
    REQUEST_RELEASE = "request_release"
    CAPTURE = "capture"
    RELEASE = "release"
    FAIL = "fail"
    CHANGE_USE = "change_use"
    LATE_USE = "late_use"
    REOPEN = "reopen"
    UNDO = "undo"


TRANSITIONS: Mapping[tuple[State, RedemptionEvent], State] = {
    (State.PENDING, RedemptionEvent.REQUEST_RELEASE): State.PENDING,
    (State.PENDING, RedemptionEvent.ACTIVATE): State.ACTIVE,
    (State.PENDING, RedemptionEvent.CAPTURE): State.CAPTURED,
    (State.PENDING, RedemptionEvent.RELEASE): State.RELEASED,
    (State.PENDING, RedemptionEvent.FAIL): State.FAILED,
    (State.ACTIVE, RedemptionEvent.REQUEST_RELEASE): State.ACTIVE,
    (State.ACTIVE, RedemptionEvent.CAPTURE): State.CAPTURED,
    (State.ACTIVE, RedemptionEvent.RELEASE): State.RELEASED,
    # An order used one code and was deleted, while Medusa refused the next code.
    (State.ACTIVE, RedemptionEvent.FAIL): State.FAILED,
    # An order used one code while Medusa refused the next one. If the order is deleted, it is released at once.
    (State.CAPTURED, RedemptionEvent.REQUEST_RELEASE): State.CAPTURED,
    (State.CAPTURED, RedemptionEvent.CHANGE_USE): State.CAPTURED,
    # Another order used a code that the first one had left, after that code was withdrawn.
    (State.CAPTURED, RedemptionEvent.LATE_USE): State.CAPTURED,
    (State.CAPTURED, RedemptionEvent.REOPEN): State.ACTIVE,
    (State.CAPTURED, RedemptionEvent.UNDO): State.RELEASED,
    (State.RELEASED, RedemptionEvent.LATE_USE): State.CAPTURED,
    (State.FAILED, RedemptionEvent.LATE_USE): State.CAPTURED,
}
"""The state after each event. All other pairs raise `TransitionNotAllowed`."""


class TransitionNotAllowed(Conflict):
    """The event cannot happen to a redemption in this state."""

    code = "transition_not_allowed"

    def __init__(self, redemption: Redemption, event: RedemptionEvent) -> None:
        super().__init__(f"{event.value} is not possible: redemption {redemption.id} is {redemption.state.value}.")


def state_after(redemption: Redemption, event: RedemptionEvent) -> State:
    """Return the state after `event`. Raises `TransitionNotAllowed`."""
    state = TRANSITIONS.get((redemption.state, event))
    if state is None:
        raise TransitionNotAllowed(redemption, event)
    return state
