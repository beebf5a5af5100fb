"""Scenes that reveal planted bugs, and what the checker must report.

A scene ends when everything in it is done, so that what its bug leaves behind is not merely not yet so.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import psycopg

from bridge.development.stack.processes import until
from tests.support import tokens
from tests.support.databases import waiting_for_locks
from tests.support.faults.installation import Installation, Point
from tests.support.faults.shop import Trouble
from tests.support.faults.workload import PATIENCE_SECONDS, History, Walk
from tests.support.orders import event, order_event

Scene = Callable[[Walk], None]

MANY = 12


@contextmanager
def customer_walk(installation: Installation, tag: str) -> Iterator[Walk]:
    with httpx.Client(base_url=installation.url, timeout=10, trust_env=False) as client:
        yield Walk(installation=installation, history=History(tag=tag), client=client, now=datetime.now(UTC))


def asks_again_after_a_death(walk: Walk) -> None:
    """The API dies after an adjustment is booked and before it says so."""
    point = Point(
        role="api",
        kind="answer",
        name="201 POST /admin/dust/customers/{customer_id}/adjustments",
        moment="before",
    )
    walk.installation.arm((point, "kill"))
    walk.give("a", 100, "once")
    assert walk.installation.fired()


def changes_an_order_many_times_at_once(walk: Walk) -> None:
    """Many events of one order, each in a task of its own, come as far as its customer's account together."""
    walk.deliver("a", order_event(walk.order("a", "a", 10)))
    eventually_handled(walk, 1)
    changed = walk.order("a", "a", 17, version=2)
    walk.settles(changed, 17)
    with psycopg.connect(walk.installation.database) as other:
        other.execute("SELECT FROM dust_balance FOR UPDATE")
        for number in range(MANY):
            walk.deliver(f"change{number}", event("order-edit.confirmed", {"id": changed["id"]}))
        assert until(lambda: waiting_for_locks(walk.installation.database) >= 2, PATIENCE_SECONDS)
    eventually_handled(walk, 1 + MANY)


def is_acknowledged_and_then_dies(walk: Walk) -> None:
    """The API dies as soon as it has acknowledged an event."""
    point = Point(role="api", kind="answer", name="202 POST /webhooks/medusa", moment="after")
    walk.installation.arm((point, "kill"))
    document = walk.order("a", "a", 10)
    walk.settles(document, 10)
    walk.deliver("a", order_event(document))
    assert until(lambda: bool(walk.installation.fired()), PATIENCE_SECONDS)
    assert until(walk.installation.live, PATIENCE_SECONDS)


def is_over_while_medusa_is_away(walk: Walk) -> None:
    """A redemption expires while Medusa is away."""
    walk.give("a", 500, "to spend")
    redemption = walk.redeem("a", 500, ends="released")
    code = walk.read(redemption)["code"]
    walk.installation.shop.troubles.append(Trouble(method="GET", mark=code, how="away", times=2))
    walk.sql("UPDATE dust_redemption SET expires_at = now() WHERE id = %s", redemption.redemption_id)
    walk.reaches(redemption, "released")


def eventually_handled(walk: Walk, number: int) -> None:
    query = "SELECT count(*) FROM webhook_event WHERE state = 'handled' AND starts_with(id, %s)"
    assert until(lambda: walk.sql(query, f"msg_{walk.tag}_")[0][0] >= number, PATIENCE_SECONDS)


def buys(walk: Walk) -> None:
    document = walk.order("a", "a", 10)
    walk.settles(document, 10)
    walk.deliver("a", order_event(document))
    eventually_handled(walk, 1)


def buys_while_medusa_is_away(walk: Walk) -> None:
    document = walk.order("a", "a", 10)
    walk.installation.shop.troubles.append(Trouble(method="GET", mark=document["id"], how="away"))
    walk.settles(document, 10)
    walk.deliver("a", event("order.placed", {"id": document["id"]}))
    over = "SELECT count(*) FROM webhook_event WHERE id = %s AND state <> 'pending'"
    assert until(lambda: walk.sql(over, f"msg_{walk.tag}_a") == [(1,)], PATIENCE_SECONDS)


def is_reported_by_a_shop(how: str) -> Scene:
    """The shop gets a webhook about earned points while it has some trouble."""

    def scene(walk: Walk) -> None:
        walk.installation.shop.troubles.append(Trouble(method="POST", mark=f"cus_{walk.tag}_a", how=how))
        buys(walk)
        reported = "SELECT count(*) FROM outgoing_webhook WHERE state = 'delivered' AND customer_id = %s"
        assert until(lambda: walk.sql(reported, f"cus_{walk.tag}_a") == [(1,)], PATIENCE_SECONDS)

    return scene


def is_warned(walk: Walk) -> None:
    """Some points expire soon. The shop must get one webhook about this."""
    document = walk.order("aging", "aging", 20, placed=walk.now - timedelta(days=29))
    walk.settles(document, 20)
    walk.history.expiring[f"cus_{walk.tag}_aging"] = 20
    walk.deliver("aging", order_event(document))


def waits_for_dust_to_come_and_go(walk: Walk) -> None:
    """In one moment one lot of a customer becomes due to mature and another one to expire."""
    customer = f"cus_{walk.tag}_a"
    walk.give("a", 500, "to stay")
    walk.give("a", 90, "to go")
    document = walk.order("a", "a", 60, placed=walk.now)
    walk.settles(document, 60)
    walk.deliver("a", order_event(document))
    eventually_handled(walk, 1)
    walk.history.expired[customer] = 90
    walk.sql(
        "UPDATE dust_lot SET matures_at = CASE WHEN matured THEN matures_at ELSE now() END,"
        " expires_at = CASE amount WHEN 90 THEN now() ELSE expires_at END WHERE customer_id = %s",
        customer,
    )
    # Both are booked in one transaction.
    come = "SELECT count(*) FROM dust_transaction WHERE customer_id = %s AND kind IN ('mature', 'expire')"
    assert until(lambda: walk.sql(come, customer)[0][0] > 0, PATIENCE_SECONDS)


def is_two_accounts(walk: Walk) -> None:
    old, new = f"cus_{walk.tag}_old", f"cus_{walk.tag}_survivor"
    walk.give("old", 70, "before the merge")
    walk.give("old", 30, "just before it")
    path = f"/admin/dust/customers/{old}/merge"
    walk.call("POST", path, expect={200}, json={"into": new}, headers=tokens.admin())
    walk.history.merged[old] = (new, 100)


def was_a_guest(walk: Walk) -> None:
    customer, email = f"cus_{walk.tag}_known", f"{walk.tag}@example.com"
    document = walk.order("guest", "guest", 25, guest=True, email=email)
    walk.settles(document, 25)
    walk.history.worth[document["id"]] = (customer, 25)
    walk.history.guests[document["id"]] = customer
    walk.deliver("guest", order_event(document))
    eventually_handled(walk, 1)
    path = f"/admin/dust/customers/{customer}/claim"
    walk.call("POST", path, expect={200}, json={"email": email}, headers=tokens.admin())


def prices_a_product_while_medusa_is_away(walk: Walk) -> None:
    product = f"prod_{walk.tag}_mug"
    walk.installation.shop.products[product] = {"id": product, "metadata": {}}
    # Several processes may send it concurrently, and each must fail.
    walk.installation.shop.troubles.append(Trouble(method="POST", mark=product, how="away", times=3))
    body = {"dust_only": True, "dust_price": 5}
    walk.call("PUT", f"/admin/dust/products/{product}", expect={200}, json=body, headers=tokens.admin())
    walk.history.prices[product] = 5
    mirrored = "SELECT mirrored_version = version FROM dust_product WHERE product_id = %s"
    assert until(lambda: walk.sql(mirrored, product) == [(True,)], PATIENCE_SECONDS)


def signs_up(walk: Walk) -> None:
    """Medusa sends two events about it, and the poll may find it too."""
    customer = f"cus_{walk.tag}_new"
    walk.history.bonuses.add(customer)
    walk.installation.shop.add_customer(customer, f"{customer}@example.com", created=walk.now)
    for name in ("new", "new-again"):
        walk.deliver(name, event("customer.created", {"id": customer}, walk.now))
    eventually_handled(walk, 2)


def is_corrected_by_hand(walk: Walk) -> None:
    walk.give("a", 100, "to have")
    walk.give("a", -30, "a part taken back")


def is_to_lose_more_than_there_is(walk: Walk) -> None:
    walk.give("a", 100, "to have")
    customer, words = f"cus_{walk.tag}_a", f"gift {walk.tag} too much"
    response = walk.call(
        "POST", f"/admin/dust/customers/{customer}/adjustments", expect={201, 409},
        json={"amount": -150, "reason": words}, headers={**tokens.admin(), "Idempotency-Key": words},
    )  # fmt: skip
    if response.status_code == 201:
        walk.history.adjustments[words] = (customer, -150, response.json()["id"])


# By bug: what happens, and a pattern of what the checker says of it. Each of these has a Dust of its own.
ALONE: dict[str, tuple[Scene, str]] = {
    "no-dedupe": (asks_again_after_a_death, r"adjustment: "),
    "no-lock": (changes_an_order_many_times_at_once, r"order: "),
    "ack-before-commit": (is_acknowledged_and_then_dies, r"lost: "),
    "release-in-doubt": (is_over_while_medusa_is_away, r"in doubt: "),
}

# The same for bugs that affect only ids with their name (`plugin/bugs_by_id.py`): they are in one Dust, all at once.
NAMED: dict[str, tuple[Scene, str]] = {
    "silent": (buys, r"outgoing webhooks: missing are \[\("),
    "sent-twice": (buys, r"outgoing webhooks: .*, too many \[\("),
    "silent-end": (
        waits_for_dust_to_come_and_go,
        r"outgoing webhooks: dust.expired must tell of .* 90\}, tells of \{\}",
    ),
    "warned-twice": (is_warned, r"outgoing webhooks: dust.expiring must tell of .* 20\}, tells of .* 40\}"),
    "refusal-is-delivery": (
        is_reported_by_a_shop("away"),
        r"outgoing webhook: .* is delivered; the shop has not heard it",
    ),
    "new-name-each-time": (is_reported_by_a_shop("lose"), r"outgoing webhook: the shop heard .*, which nobody wrote"),
    "merge-loses": (is_two_accounts, r"merge: .*_survivor': 70\}"),
    "merge-doubles": (is_two_accounts, r"merge: .*_survivor': 200\}"),
    "guest-paid-twice": (was_a_guest, r"order: .*: 50\}"),
    "guest-unpaid": (was_a_guest, r"order: .*, booked are \{\}"),
    "guest-and-another": (was_a_guest, r"order: .*_known': 25, .*_known-too': 25\}"),
    "guest-waits-on": (was_a_guest, r"guest: .* waits is 25, waiting"),
    "expires-twice": (waits_for_dust_to_come_and_go, r"expiry: .* 180\} are"),
    "never-expires": (waits_for_dust_to_come_and_go, r"expiry: .*, \{\} are"),
    "never-matures": (waits_for_dust_to_come_and_go, r"pending: "),
    "price-unheard": (prices_a_product_while_medusa_is_away, r"price: "),
    "two-welcomes": (signs_up, r"bonus: .* 1[05]0\}"),
    "overdraws": (is_to_lose_more_than_there_is, r"below zero: "),
    "balance-drifts": (is_corrected_by_hand, r"balance: "),
    "gives-up": (buys_while_medusa_is_away, r"waits: .* is failed"),
    "event-copied": (buys, r"invented: nobody sent "),
    "order-copied": (buys, r"invented: earn for "),
    "takes-all": (Walk.pays_with_dust, r"redemption: .* must have spent 300 .* are 500"),
    "code-made-anew": (Walk.pays_with_dust, r"twice: "),
    "spare-code": (Walk.pays_with_dust, r"in doubt: .* is no redemption's"),
    "left-in-carts": (Walk.changes_their_mind, r"cart: .* still have the discount of .*, which is released"),
}
