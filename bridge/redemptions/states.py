"""The states of a redemption and what may happen in each. `lifecycle.py` has the diagram and does the work."""

from collections.abc import Mapping
from enum import StrEnum

from bridge.errors import Conflict
from bridge.redemptions.repository import Redemption
from bridge.redemptions.tables import RedemptionState


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


TRANSITIONS: Mapping[tuple[RedemptionState, RedemptionEvent], RedemptionState] = {
    (RedemptionState.PENDING, RedemptionEvent.REQUEST_RELEASE): RedemptionState.PENDING,
    (RedemptionState.PENDING, RedemptionEvent.ACTIVATE): RedemptionState.ACTIVE,
    (RedemptionState.PENDING, RedemptionEvent.CAPTURE): RedemptionState.CAPTURED,
    (RedemptionState.PENDING, RedemptionEvent.RELEASE): RedemptionState.RELEASED,
    (RedemptionState.PENDING, RedemptionEvent.FAIL): RedemptionState.FAILED,
    (RedemptionState.ACTIVE, RedemptionEvent.REQUEST_RELEASE): RedemptionState.ACTIVE,
    (RedemptionState.ACTIVE, RedemptionEvent.CAPTURE): RedemptionState.CAPTURED,
    (RedemptionState.ACTIVE, RedemptionEvent.RELEASE): RedemptionState.RELEASED,
    # An order used one code and was deleted, while Medusa refused the next code.
    (RedemptionState.ACTIVE, RedemptionEvent.FAIL): RedemptionState.FAILED,
    # An order used one code while Medusa refused the next one. If the order is deleted, it is released at once.
    (RedemptionState.CAPTURED, RedemptionEvent.REQUEST_RELEASE): RedemptionState.CAPTURED,
    (RedemptionState.CAPTURED, RedemptionEvent.CHANGE_USE): RedemptionState.CAPTURED,
    # Another order used a code that the first one had left, after that code was withdrawn.
    (RedemptionState.CAPTURED, RedemptionEvent.LATE_USE): RedemptionState.CAPTURED,
    (RedemptionState.CAPTURED, RedemptionEvent.REOPEN): RedemptionState.ACTIVE,
    (RedemptionState.CAPTURED, RedemptionEvent.UNDO): RedemptionState.RELEASED,
    (RedemptionState.RELEASED, RedemptionEvent.LATE_USE): RedemptionState.CAPTURED,
    (RedemptionState.FAILED, RedemptionEvent.LATE_USE): RedemptionState.CAPTURED,
}
"""The state after each event. All other pairs raise `TransitionNotAllowed`."""


class TransitionNotAllowed(Conflict):
    """The event cannot happen to a redemption in this state."""

    code = "transition_not_allowed"

    def __init__(self, redemption: Redemption, event: RedemptionEvent) -> None:
        super().__init__(f"{event.value} is not possible: redemption {redemption.id} is {redemption.state.value}.")


def state_after(redemption: Redemption, event: RedemptionEvent) -> RedemptionState:
    """Return the state after `event`. Raises `TransitionNotAllowed`."""
    state = TRANSITIONS.get((redemption.state, event))
    if state is None:
        raise TransitionNotAllowed(redemption, event)
    return state
