"""One paid order is transferred through four accounts, each of which spends: its points are spent only once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from itertools import pairwise

import pytest

from bridge.development.demo.people import Merchant, Refused, Storefront
from bridge.development.stack.processes import until
from tests.support.live_worlds import PATIENCE_SECONDS, World

pytestmark = pytest.mark.live

# A shirt costs 10.00 without tax and earns what a redemption of 10.00 takes.
WORTH = 1_000
RATE = 100


@contextmanager
def rules(world: World, policy: str) -> Iterator[None]:
    """Only the shirt earns, so that products bought with points earn nothing."""
    before = world.bridge.ask("GET", "/admin/dust/programme")
    document = {name: value for name, value in before.items() if name not in {"version", "author", "created_at"}}
    others = [product.id for product in (world.keys.shorts, world.keys.hoodie, world.keys.mug)]
    changed = {
        **document,
        "earn": {**document["earn"], "rates": {"eur": str(RATE)}, "excluded_product_ids": others},
        "redeem": {**document["redeem"], "rates": {"eur": str(RATE)}},
        "reversal": {"negative_balance": policy},
    }
    world.bridge.ask("PUT", "/admin/dust/programme", changed)
    yield
    world.bridge.ask("PUT", "/admin/dust/programme", document)


def hand_over(world: World, merchant: Merchant, order_id: str, owner: Storefront, to: Storefront) -> None:
    """Medusa's order transfer: the new owner asks, and the old one accepts with the token from the mail."""
    to.ask("POST", f"/store/orders/{order_id}/transfer/request", {})
    changes = merchant.get(f"/admin/orders/{order_id}/changes", fields="id,status,*actions")["order_changes"]
    token = next(
        str(action["details"]["token"])
        for change in changes
        if change["status"] == "requested"
        for action in change["actions"]
        if action["action"] == "TRANSFER_CUSTOMER"
    )
    owner.ask("POST", f"/store/orders/{order_id}/transfer/accept", {"token": token})
    assert merchant.get(f"/admin/orders/{order_id}", fields="customer_id")["order"]["customer_id"] == to.customer_id
    # Medusa has no event for that, but the order has moved.
    assert order_id in world.bridge.ask("POST", "/admin/dust/reconcile", {})["drifted"]
    assert until(lambda: not pending_events(world), PATIENCE_SECONDS)


def pending_events(world: World) -> int:
    return len(world.bridge.ask("GET", "/admin/dust/events?state=pending")["events"])


def spend(world: World, merchant: Merchant, shopper: Storefront, most: int) -> Decimal:
    """Pay shorts with up to this many points. Returns what Medusa took off, without tax."""
    points = min(most, int(shopper.ask("GET", "/store/dust/balance")["available"]))
    if points <= 0:
        # A request for more points than available is refused.
        with pytest.raises(Refused):
            world.redeem(shopper, {"dust": most, "currency_code": "eur"})
        return Decimal(0)
    cart_id = shopper.new_cart()
    shopper.add(cart_id, world.keys.shorts)
    shopper.choose_shipping(cart_id)
    redemption = world.redeem(shopper, {"cart_id": cart_id, "dust": points})
    shopper.pay(cart_id)
    order = merchant.order(shopper.complete(cart_id))
    path = f"/store/dust/redemptions/{redemption['id']}"
    assert until(lambda: shopper.ask("GET", path)["redemption"]["state"] == "captured", PATIENCE_SECONDS)
    return Decimal(str(order["discount_total"]))


@pytest.mark.parametrize("policy", ["allow", "within_balance"])
@pytest.mark.parametrize("share", [1, 4], ids=["each spends all", "each spends a quarter"])
def test_points_worth_ten_buy_ten_once_through_four_accounts(world: World, policy: str, share: int) -> None:
    merchant = Merchant(world.keys)
    with rules(world, policy), ExitStack() as stack:
        people = [stack.enter_context(world.shopper()) for _ in range(4)]
        order_id = people[0].buy((world.keys.shirt, 1))
        merchant.capture(order_id)
        world.bridge.wait_for_balance(people[0].customer_id, WORTH)
        bought = spend(world, merchant, people[0], WORTH // share)
        for owner, heir in pairwise(people):
            hand_over(world, merchant, order_id, owner, heir)
            bought += spend(world, merchant, heir, WORTH // share)
        # Then back to the first owner.
        hand_over(world, merchant, order_id, people[-1], people[0])
        bought += spend(world, merchant, people[0], WORTH)
        assert bought == Decimal(WORTH) / RATE
        assert [world.bridge.balance(person.customer_id) for person in people] == [0, 0, 0, 0]
        world.bridge.audit()
        # The purchases remain. The order is canceled, and takes back no more than it gave.
        merchant.cancel(order_id)
        assert until(lambda: not pending_events(world), PATIENCE_SECONDS)
        world.bridge.audit()
    merchant.close()
