"""The workload: shoppers, a merchant and Medusa's plugin, who all repeat a request until it is answered.

The answers are recorded in the history, which the checker compares with the database.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from bridge.development.stack.processes import until
from bridge.development.stack.up import DUST
from tests.support import tokens
from tests.support.deliveries import signed_headers
from tests.support.faults.installation import Installation
from tests.support.faults.shop import Trouble
from tests.support.medusa import cart_line
from tests.support.orders import event, line, order, order_event

# The load: orders of other customers, processed at the same time.
_CROWD_PAUSE_SECONDS = 1.0
# Only a defect or a very slow machine takes this long.
PATIENCE_SECONDS = 300.0
_AGAIN_SECONDS = 0.3


@dataclass(kw_only=True)
class RequestedRedemption:
    """A redemption that a shopper asked for. `used_by` and `used` say what an order made of it."""

    customer_id: str
    dust: int
    redemption_id: str
    ends: str
    used_by: str | None = None
    used: int = 0


@dataclass(kw_only=True)
class History:
    """What was acknowledged with a 2xx, and what must follow from it. `tag` is in every id."""

    tag: str
    events: set[str] = field(default_factory=set)
    adjustments: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    """By what it says: customer, amount, the id of its row."""
    worth: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By order: its customer and the dust that its newest facts are worth."""
    bonuses: set[str] = field(default_factory=set)
    granted: dict[str, int] = field(default_factory=dict)
    """By customer: bonuses that the merchant gave by hand."""
    guests: dict[str, str] = field(default_factory=dict)
    """By order of a guest: the customer who claimed it."""
    merged: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By account that was merged: who has everything now, and how much that is."""
    redemptions: list[RequestedRedemption] = field(default_factory=list)
    prices: dict[str, int | None] = field(default_factory=dict)
    expired: dict[str, int] = field(default_factory=dict)
    """By customer: dust that must be gone by now."""
    expiring: dict[str, int] = field(default_factory=dict)
    """By customer: points whose expiry a webhook must have announced."""


class GaveUp(AssertionError):
    """A request got no answer for minutes."""


@dataclass(kw_only=True)
class Walk:
    """The customers, merchant and plugin of one tag."""

    installation: Installation
    history: History
    client: httpx.Client
    now: datetime

    @property
    def tag(self) -> str:
        return self.history.tag

    def call(self, method: str, path: str, *, expect: set[int], **how: Any) -> httpx.Response:
        """Repeat a request until it gets a conclusive response."""
        end = time.monotonic() + PATIENCE_SECONDS
        last: object = None
        while time.monotonic() < end:
            try:
                response = self.client.request(method, path, **how)
            except httpx.TransportError as error:
                last = error
            else:
                if response.status_code in expect:
                    return response
                assert response.status_code == 503, f"{method} {path}: {response.status_code} {response.text}"
                last = response.text
            time.sleep(_AGAIN_SECONDS)
        raise GaveUp(f"{method} {path}: {last}")

    def deliver(self, name: str, body: bytes, times: int = 1) -> None:
        event_id = f"msg_{self.tag}_{name}"
        for _ in range(times):
            # Signed anew for each attempt, as the plugin does.
            self.call(
                "POST", "/webhooks/medusa", expect={200, 202}, content=body,
                headers=signed_headers(body, event_id=event_id),
            )  # fmt: skip
            self.history.events.add(event_id)

    def order(self, name: str, buyer: str, euros: int, **how: Any) -> dict[str, Any]:
        """An order as Medusa has it; `placed` two days ago, so that what it earns is mature."""
        how.setdefault("placed", self.now - timedelta(days=2))
        lines = how.pop("lines", [line(price=euros)])
        return order(f"order_{self.tag}_{name}", customer_id=f"cus_{self.tag}_{buyer}", lines=lines, **how)

    def settles(self, document: dict[str, Any], worth: int) -> None:
        """Store the facts in Medusa. In the end they must be settled."""
        self.installation.shop.orders[document["id"]] = document
        self.history.worth[document["id"]] = (document["customer_id"], worth)

    def give(self, name_of_customer: str, amount: int, name: str) -> None:
        customer, words = f"cus_{self.tag}_{name_of_customer}", f"gift {self.tag} {name}"
        response = self.call(
            "POST", f"/admin/dust/customers/{customer}/adjustments", expect={201},
            json={"amount": amount, "reason": words}, headers={**tokens.admin(), "Idempotency-Key": words},
        )  # fmt: skip
        self.history.adjustments[words] = (customer, amount, response.json()["id"])

    def redeem(self, buyer: str, dust: int, *, ends: str, **body: Any) -> RequestedRedemption:
        """Ask for a code and wait until it can be used."""
        customer = f"cus_{self.tag}_{buyer}"
        headers = {**tokens.customer(customer), "Idempotency-Key": f"{self.tag} {buyer} {ends}"}
        body = {"dust": dust, **(body or {"currency_code": "eur"})}
        answers = [
            self.call("POST", "/store/dust/redemptions", expect={202}, json=body, headers=headers).json()
            for _ in range(2)
        ]
        assert answers[0] == answers[1], "the same key was answered in two ways"
        redemption = RequestedRedemption(
            customer_id=customer, dust=dust, redemption_id=answers[0]["redemption"]["id"], ends=ends
        )
        self.history.redemptions.append(redemption)
        self.reaches(redemption, "active")
        return redemption

    def read(self, redemption: RequestedRedemption) -> dict[str, Any]:
        path = f"/store/dust/redemptions/{redemption.redemption_id}?wait=2"
        response = self.call("GET", path, expect={200}, headers=tokens.customer(redemption.customer_id))
        redemption: dict[str, Any] = response.json()["redemption"]
        return redemption

    def reaches(self, redemption: RequestedRedemption, state: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while (current := self.read(redemption)["state"]) != state:
            if time.monotonic() > end:
                raise GaveUp(f"{redemption.redemption_id} is {current}, not {state}")
            time.sleep(_AGAIN_SECONDS)

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Query the database, which may just have been stopped."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with psycopg.connect(self.installation.database, autocommit=True) as connection:
                    cursor = connection.execute(statement, values)
                    return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(_AGAIN_SECONDS)

    # --- the scenes, each in its own thread ---

    def buys_and_is_delivered_twice(self) -> None:
        document = self.order("a", "a", 100)
        self.settles(document, 100)
        self.deliver("a", order_event(document), times=2)
        self.deliver("a-again", order_event(document))

    def returns_and_is_delivered_in_reverse_order(self) -> None:
        how: dict[str, Any] = {"placed": self.now - timedelta(days=2)}
        facts = [
            self.order("b", "a", 0, lines=[line(price=10, quantity=4, returned=returned)], version=returned + 1, **how)
            for returned in range(3)
        ]
        self.settles(facts[2], 20)
        for name in (1, 2, 0):
            self.deliver(f"b{name}", order_event(facts[name], "order.return_received" if name else "order.placed"))

    def buys_and_medusa_is_asked(self) -> None:
        for name in ("c", "away"):
            document = self.order(name, "c", 30)
            if name == "away":
                self.installation.shop.troubles.append(Trouble(method="GET", mark=document["id"], how="away"))
            self.settles(document, 30)
            self.deliver(name, event("order.placed", {"id": document["id"]}))

    def cancels(self) -> None:
        self.deliver("d", order_event(self.order("d", "a", 70)))
        canceled = self.order("d", "a", 70, version=2, status="canceled")
        self.settles(canceled, 0)
        self.deliver("d-canceled", event("order.canceled", {"id": canceled["id"]}))

    def signs_up(self) -> None:
        customer = f"cus_{self.tag}_new"
        self.history.bonuses.add(customer)
        self.installation.shop.add_customer(customer, f"{customer}@example.com", created=self.now)
        self.deliver("new", event("customer.created", {"id": customer}, self.now), times=2)
        self.deliver("new-again", event("customer.created", {"id": customer}, self.now))
        self.deliver("gone", event("customer.deleted", {"id": f"cus_{self.tag}_gone"}, self.now))

    def prices_a_product(self) -> None:
        for name, price in (("mug", 5), ("cup", None)):
            product = f"prod_{self.tag}_{name}"
            self.installation.shop.products[product] = {"id": product, "metadata": {}}
            body = {"dust_only": True, "dust_price": 5}
            self.call("PUT", f"/admin/dust/products/{product}", expect={200}, json=body, headers=tokens.admin())
            self.history.prices[product] = price
        product = f"prod_{self.tag}_cup"
        self.call("DELETE", f"/admin/dust/products/{product}", expect={200, 404}, headers=tokens.admin())

    def is_poison_until_fixed(self) -> None:
        document = self.order("e", "c", 40)
        self.deliver("e", event("order.placed", {"id": document["id"]}))
        event_id = f"msg_{self.tag}_e"
        end = time.monotonic() + PATIENCE_SECONDS
        while self.sql("SELECT state FROM webhook_event WHERE id = %s", event_id) != [("failed",)]:
            if time.monotonic() > end:
                raise GaveUp(f"{event_id} has not failed")
            time.sleep(_AGAIN_SECONDS)
        self.settles(document, 40)
        self.call("POST", f"/admin/dust/events/{event_id}/retry", expect={202}, headers=tokens.admin())

    def pays_with_dust(self) -> None:
        self.give("pays", 1_000, "to pay")
        self.installation.shop.troubles.append(Trouble(method="POST", mark=f"cus_{self.tag}_pays", how="lose"))
        redemption = self.redeem("pays", 500, ends="captured")
        code = self.read(redemption)["code"]
        self.installation.shop.use_code(code)
        document = self.order("f", "pays", 0, lines=[line(price=20, discount=3, code=code)])
        redemption.used_by, redemption.used = document["id"], 300
        self.settles(document, 17)
        self.deliver("f", order_event(document))
        self.reaches(redemption, "captured")

    def changes_their_mind(self) -> None:
        """The code is in the cart that it was made for, and in another one that the shopper typed it into."""
        self.give("back", 600, "to give back")
        carts = [f"cart_{self.tag}", f"cart_{self.tag}_typed"]
        for cart_id in carts:
            self.installation.shop.add_cart(cart_id, customer_id=f"cus_{self.tag}_back", lines=[cart_line(total=10)])
        redemption = self.redeem("back", 200, ends="released", cart_id=carts[0])
        code = self.read(redemption)["code"]
        self.installation.shop.type_code(carts[1], code)
        assert carts[1] in self.installation.shop.carts_with({code})
        path = f"/store/dust/redemptions/{redemption.redemption_id}"
        # Two concurrent requests: one finds the other at work, and is repeated.
        with ThreadPoolExecutor(2) as pool:
            headers = tokens.customer(redemption.customer_id)
            list(pool.map(lambda _: self.call("DELETE", path, expect={200}, headers=headers), range(2)))
        self.reaches(redemption, "released")

    def lets_it_run_out(self) -> None:
        self.give("late", 600, "to forget")
        self.installation.shop.troubles.append(Trouble(method="POST", mark=f"cus_{self.tag}_late", how="away"))
        redemption = self.redeem("late", 300, ends="released")
        self.sql(
            "UPDATE dust_redemption SET expires_at = now() WHERE id = %s AND state = 'active'", redemption.redemption_id
        )
        self.reaches(redemption, "released")

    def spends_before_it_is_there(self) -> None:
        """Released while the promotion is being created: Dust must look up whether it exists."""
        self.give("quick", 600, "in a hurry")
        customer = f"cus_{self.tag}_quick"
        self.installation.shop.troubles.append(Trouble(method="POST", mark=customer, how="hang"))
        headers = {**tokens.customer(customer), "Idempotency-Key": f"{self.tag} quick"}
        body = {"dust": 400, "currency_code": "eur"}
        answer = self.call("POST", "/store/dust/redemptions", expect={202}, json=body, headers=headers).json()
        redemption = RequestedRedemption(
            customer_id=customer, dust=400, redemption_id=answer["redemption"]["id"], ends="released"
        )
        self.history.redemptions.append(redemption)
        path = f"/store/dust/redemptions/{redemption.redemption_id}"
        self.call("DELETE", path, expect={200}, headers=tokens.customer(customer))
        self.reaches(redemption, "released")

    def buys_as_a_guest(self) -> None:
        """Orders before and after the proof of the e-mail; no order contains the proof."""
        customer, email = f"cus_{self.tag}_known", f"{self.tag}@example.com"
        for name in ("guest-before", "guest-after"):
            document = self.order(name, "guest", 25, guest=True, email=email)
            self.settles(document, 25)
            self.history.worth[document["id"]] = (customer, 25)
            self.history.guests[document["id"]] = customer
            self.deliver(name, order_event(document))
            path = f"/admin/dust/customers/{customer}/claim"
            self.call("POST", path, expect={200}, json={"email": email}, headers=tokens.admin())

    def is_two_accounts(self) -> None:
        """Dust from before a merge, and an order that comes in after it."""
        old, new = f"cus_{self.tag}_old", f"cus_{self.tag}_survivor"
        self.give("old", 70, "before the merge")
        path = f"/admin/dust/customers/{old}/merge"
        self.call("POST", path, expect={200}, json={"into": new}, headers=tokens.admin())
        document = self.order("merged", "old", 15)
        self.settles(document, 15)
        self.history.merged[old] = (new, 85)
        self.deliver("merged", order_event(document))

    def is_given_a_bonus(self) -> None:
        customers = [f"cus_{self.tag}_nice", f"cus_{self.tag}_kind"]
        body = {"customer_ids": customers, "amount": 30, "reason": "thanks"}
        headers = {**tokens.admin(), "Idempotency-Key": f"thanks {self.tag}"}
        for _ in range(2):
            self.call("POST", "/admin/dust/bonuses", expect={201}, json=body, headers=headers)
        self.history.granted |= dict.fromkeys(customers, 30)

    def is_found_by_hand(self) -> None:
        """An order without any webhook, and a merchant who starts reconcile before the schedule does."""
        document = self.order("by-hand", "found", 45, updated=self.now)
        self.settles(document, 45)
        self.call("POST", "/admin/dust/reconcile", expect={200}, headers=tokens.admin())

    def is_from_before_there_was_dust(self) -> None:
        """An order so old that no poll looks for it: `dust backfill`, given again until it says that it is done."""
        placed = self.now.replace(microsecond=0) - timedelta(days=20)
        self.settles(self.order("old", "old-times", 35, placed=placed), 35)
        since, until = (f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in (placed, placed + timedelta(seconds=1)))
        command = [*DUST, "backfill", "--since", since, "--until", until, "--send-webhooks", "--yes", "--json"]
        end, again = time.monotonic() + PATIENCE_SECONDS, ["--restart"]
        while (done := self.run([*command, *again])).returncode:
            if time.monotonic() > end:
                raise GaveUp(done.stdout + done.stderr)
            again = []

    def run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, **self.installation.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def is_lost_by_medusa(self) -> None:
        soon = timedelta(seconds=1)
        for name, buyer, euros, placed in (
            ("lost", "lost", 80, self.now - timedelta(days=2)),
            ("ripe", "ripe", 60, self.now - timedelta(days=1) + soon),
            ("stale", "stale", 90, self.now - timedelta(days=28)),
            ("aging", "aging", 20, self.now - timedelta(days=29)),
        ):
            document = self.order(name, buyer, euros, placed=placed, updated=self.now)
            self.settles(document, euros)
        self.history.expired[f"cus_{self.tag}_stale"] = 90
        self.history.expiring[f"cus_{self.tag}_aging"] = 20
        self.reaches_its_end("stale")

    def reaches_its_end(self, buyer: str) -> None:
        """Points expire at the end of a day, so the test changes the date of this customer's lot to now."""
        customer = f"cus_{self.tag}_{buyer}"
        end = time.monotonic() + PATIENCE_SECONDS
        while self.sql("SELECT count(*) FROM dust_lot WHERE customer_id = %s", customer) != [(1,)]:
            if time.monotonic() > end:
                raise GaveUp(f"{customer} has no lot")
            time.sleep(_AGAIN_SECONDS)
        self.sql("UPDATE dust_lot SET expires_at = now() WHERE customer_id = %s", customer)

    def sees_a_day_end(self) -> None:
        """The clock closes a day once and for good: what it kept of yesterday is lost here, so that it comes again."""
        # A trigger forbids that to Dust itself.
        self.sql("DO $$ BEGIN SET LOCAL session_replication_role = replica; DELETE FROM daily_close; END $$")

    def keeps_buying(self, enough: threading.Event) -> None:
        """Send one order after the other."""
        number = 0
        while not enough.is_set():
            number += 1
            document = self.order(f"crowd{number}", f"crowd{number % 3}", 10)
            self.settles(document, 10)
            self.deliver(f"crowd{number}", order_event(document))
            enough.wait(_CROWD_PAUSE_SECONDS)

    EVERYBODY: tuple[Callable[["Walk"], None], ...] = (
        buys_and_is_delivered_twice, returns_and_is_delivered_in_reverse_order, buys_and_medusa_is_asked, cancels,
        signs_up,
        prices_a_product, is_poison_until_fixed, pays_with_dust, changes_their_mind, lets_it_run_out,
        spends_before_it_is_there, is_lost_by_medusa, buys_as_a_guest, is_two_accounts, is_given_a_bonus,
        is_found_by_hand, sees_a_day_end,
    )  # fmt: skip


@contextmanager
def walking(
    installation: Installation, tag: str, *, backfilling: bool = False
) -> Iterator[tuple[History, Callable[[], None]]]:
    """Yields the history, and a function that runs all scenes concurrently and waits for their end.

    Before that, and until the block ends, others keep buying: whatever dies has events in flight.
    """
    people = [*Walk.EVERYBODY, *([Walk.is_from_before_there_was_dust] if backfilling else [])]
    with httpx.Client(base_url=installation.url, timeout=10, trust_env=False) as client:
        walk = Walk(installation=installation, history=History(tag=tag), client=client, now=datetime.now(UTC))
        start, enough = threading.Barrier(len(people)), threading.Event()

        def go(person: Callable[[Walk], None]) -> None:
            start.wait(30)
            person(walk)

        def arrive() -> None:
            for arrival in [pool.submit(go, person) for person in people]:
                arrival.result()

        with ThreadPoolExecutor(1 + len(people)) as pool:
            crowd = pool.submit(walk.keeps_buying, enough)
            try:
                assert until(lambda: bool(walk.history.events) or crowd.done(), PATIENCE_SECONDS)
                yield walk.history, arrive
            finally:
                enough.set()
            crowd.result()
