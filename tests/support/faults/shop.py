"""The Medusa of the fault tests: it fails on request, and records what it did and when."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.support.medusa import PUBLISHABLE_KEY, Answer, FakeMedusa, codes_in
from tests.support.promotions import facts_of

# Beyond DUST_MEDUSA_TIMEOUT_SECONDS of the installation (1).
HANG_SECONDS = 1.6
# Where the shop receives outgoing webhooks.
OUTGOING_WEBHOOKS = "/outgoing-webhooks"


@dataclass(kw_only=True)
class Trouble:
    """What happens to calls of this method whose path, query or body has `mark` in it, the next `times` times."""

    method: str
    mark: str
    how: str  # away: 503, nothing done; lose: done, and the connection cut; hang: done, and no reply for too long
    times: int = 1


class Shop(FakeMedusa):
    """A Medusa with troubles. `happened` has (when, what, code) for every promotion made or deleted. `notified` has the
    id and customer of each outgoing webhook, as often as it was delivered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.troubles: list[Trouble] = []
        self.happened: list[tuple[datetime, str, str]] = []
        self.notified: list[tuple[str, str]] = []
        self._troubling = threading.Lock()
        # The plugin removes codes from carts that Dust does not know.
        self.plugin = True

    def handle(self, method: str, path: str, query: dict[str, Any], body: Any, headers: Any) -> Answer:
        trouble = self._trouble(method, f"{path} {query} {body}")
        if trouble == "away":
            return 503, {"type": "unexpected_state", "message": "away"}
        if path == OUTGOING_WEBHOOKS:
            self.notified.append((headers["webhook-id"], body["data"].get("customer_id") or ""))
            answer: Answer = (200, {})
        else:
            answer = super().handle(method, path, query, body, headers)
        # A fail point requests it in a header of the call.
        if trouble == "hang" or headers.get("x-faults") == "hang":
            time.sleep(HANG_SECONDS)
        elif trouble == "lose":
            raise ConnectionResetError("the reply was lost")
        return answer

    def live_codes_of(self, tag: str) -> set[str]:
        """Codes that customers of this tag could still use."""
        theirs = [
            promotion
            for promotion in list(self.promotions.values())
            if f"_{tag}_" in facts_of(promotion)["customer_id"]
        ]
        return {promotion["code"] for promotion in theirs if promotion["used"] < promotion["limit"]}

    def type_code(self, cart_id: str, code: str) -> None:
        """A shopper types a code into a cart."""
        headers = {"x-publishable-api-key": PUBLISHABLE_KEY}
        status, answer = self.handle("POST", f"/store/carts/{cart_id}/promotions", {}, {"promo_codes": [code]}, headers)
        assert status == 200, answer

    def carts_with(self, codes: set[str]) -> list[str]:
        """Carts from which one of these codes takes something off."""
        return sorted(cart_id for cart_id, cart in list(self.carts.items()) if codes & codes_in(cart))

    def _trouble(self, method: str, call: str) -> str | None:
        with self._troubling:
            for trouble in self.troubles:
                if trouble.times and trouble.method == method and trouble.mark in call:
                    trouble.times -= 1
                    return trouble.how
        return None

    def _create_promotion(self, body: dict[str, Any]) -> Answer:
        status, answer = super()._create_promotion(body)
        if status == 200:
            self.happened.append((datetime.now(UTC), "created", body["code"]))
        return status, answer

    def _delete_promotion(self, promotion_id: str) -> Answer:
        promotion = self.promotions.get(promotion_id)
        answer = super()._delete_promotion(promotion_id)
        if promotion:
            self.happened.append((datetime.now(UTC), "deleted", promotion["code"]))
        return answer
