"""A real guest: their points wait, and go with the order to the account that it is transferred to."""

import secrets

import pytest

from bridge.development.demo.people import Json, Merchant, Refused, Storefront
from bridge.development.stack.processes import until
from tests.support.live_worlds import PATIENCE_SECONDS, World

pytestmark = pytest.mark.live


def escrow(world: World, order_id: str) -> Json:
    """What Dust has in escrow for the order; empty while it has nothing."""
    try:
        return world.bridge.ask("GET", f"/admin/dust/escrow/{order_id}")
    except Refused:
        return {}


def mailed_token(world: World, order_id: str) -> str:
    """The token of a requested transfer, which a shop mails to the order's address."""
    merchant = Merchant(world.keys)
    changes = merchant.get(f"/admin/orders/{order_id}/changes", fields="id,status,*actions")["order_changes"]
    merchant.close()
    return next(
        str(action["details"]["token"])
        for change in changes
        for action in change["actions"]
        if action["action"] == "TRANSFER_CUSTOMER"
    )


def test_a_guests_dust_goes_to_the_account_that_the_order_is_transferred_to(world: World) -> None:
    guest = Storefront(world.keys)
    email = f"guest-{secrets.token_hex(6)}@example.com"
    cart_id = guest.new_cart(email=email)
    guest.add(cart_id, world.keys.hoodie)
    quoted = world.bridge.ask("POST", "/store/dust/quote/guest", {"cart_id": cart_id})
    order_id = guest.check_out(cart_id)
    assert until(lambda: escrow(world, order_id).get("dust") == quoted["escrow"] > 0, PATIENCE_SECONDS)

    with world.shopper() as shopper:
        shopper.ask("POST", f"/store/orders/{order_id}/transfer/request", {})
        assert escrow(world, order_id)["state"] == "waiting", "asking for it proves nothing"
        guest.ask("POST", f"/store/orders/{order_id}/transfer/accept", {"token": mailed_token(world, order_id)})
        # Medusa has no event for that, but the order has moved.
        assert order_id in world.bridge.ask("POST", "/admin/dust/reconcile", {})["drifted"]
        world.bridge.wait_for_balance(shopper.customer_id, quoted["escrow"])
        assert (escrow(world, order_id)["customer_id"], escrow(world, order_id)["proof"]) == (
            shopper.customer_id,
            "transfer",
        )
    guest.close()
    world.bridge.audit()
