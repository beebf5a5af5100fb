"""Errors of calls to Medusa."""

from bridge.errors import Conflict, NotFound, Unavailable


class MedusaAway(Unavailable):
    """Medusa did not answer, answered 5xx or 429, or refused our key. The call may have had its effect or not.

    `only_this_call` means that it answered 500, did not finish its answer, or gave one that cannot be read: other calls
    may still succeed.
    """

    code = "medusa_unavailable"

    def __init__(self, message: str, *, only_this_call: bool = False) -> None:
        super().__init__(message)
        self.only_this_call = only_this_call


class MedusaNotConfigured(Unavailable):
    """An environment variable with Medusa's URL or key is missing."""

    code = "medusa_not_configured"

    def __init__(self, variable: str) -> None:
        super().__init__(f"{variable} is not set, so Dust cannot reach Medusa.", variable=variable)


class MedusaRefused(Conflict):
    """Medusa refused the call with a 4xx that a retry would not change."""

    code = "medusa_refused"
    shopper_message = "The shop cannot do this right now. Please try again in a moment."

    def __init__(self, *, status: int, kind: str, message: str) -> None:
        super().__init__(f"Medusa refused ({status} {kind}): {message}")
        self.status_at_medusa = status


class UnknownInMedusa(NotFound):
    """Medusa answered 404."""

    code = "unknown_in_medusa"
