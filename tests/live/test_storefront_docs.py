"""The code of docs/how-to/storefront.md is type-checked, bundled with the storefront kit, and run at a real Medusa.

The starter itself cannot be installed from a package registry. A few lines in `storefront/` replace what the code takes
from it.
"""

import json
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.development.demo.people import Json, Refused, Storefront
from bridge.development.stack.processes import until
from tests.support.built_shop import PROJECT
from tests.support.kit_tools import kit_with_tools, node, run
from tests.support.live_worlds import PATIENCE_SECONDS, World

pytestmark = pytest.mark.live

STAND_INS = Path(__file__).parent / "storefront"
GUIDE = (PROJECT / "docs" / "how-to" / "storefront.md").read_text()
DUST = 900


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Site:
    """The documented code, bundled for Node, for one shopper at a time."""

    program: Path
    world: World

    def call(self, name: str, *args: Any, shopper: Storefront | None = None, cart: str = "", module: str = "") -> Any:
        variables = {
            "NEXT_PUBLIC_MEDUSA_BACKEND_URL": self.world.shop.url,
            "NEXT_PUBLIC_MEDUSA_PUBLISHABLE_KEY": self.world.keys.publishable_key,
            "DUST_URL": self.world.bridge.url,
            "TOKEN": shopper.token if shopper else "",
            "CART_ID": cart,
        }
        requested = json.dumps({"module": module, "call": name, "args": args})
        return json.loads(run(self.program.parent, "node", str(self.program), requested, **variables))["answer"]


@pytest.fixture(scope="module")
def site(world: World) -> Iterator[Site]:
    server_file, plain, *_ = examples("ts")
    with kit_with_tools() as kit:
        folder = Path(shutil.copytree(STAND_INS, kit / "storefront"))
        (folder / "lib" / "data" / "dust.ts").write_text(server_file)
        (folder / "lib" / "data" / "plain.ts").write_text(plain)
        place_order = folder / "place-order.ts"
        place_order.write_text(place_order.read_text().replace("// THE GUIDE'S CODE", examples("js")[0]))
        for number, page in enumerate(examples("tsx")):
            (folder / f"page{number}.tsx").write_text(page)
        node(folder.parent, "typescript/bin/tsc", "--project", str(folder / "tsconfig.json"))
        aliases = {
            "@lib": folder / "lib",
            "dust-storefront-kit": kit / "src" / "index.ts",
            "dust-storefront-kit/next": kit / "src" / "next.ts",
        }
        node(
            kit,
            "esbuild/bin/esbuild",
            str(folder / "play.ts"),
            "--bundle",
            "--platform=node",
            f"--outfile={folder / 'play.cjs'}",
            *(f"--alias:{name}={file}" for name, file in aliases.items()),
        )
        yield Site(program=folder / "play.cjs", world=world)


@pytest.fixture
def shopper(world: World) -> Iterator[Storefront]:
    with world.shopper() as person:
        world.bridge.give(person.customer_id, DUST)
        yield person


@pytest.fixture
def cart(world: World, shopper: Storefront) -> str:
    """A hoodie for 50.00 with tax."""
    cart_id = shopper.new_cart()
    shopper.add(cart_id, world.keys.hoodie)
    return cart_id


def key() -> str:
    return uuid.uuid4().hex


def test_components_are_typescript(site: Site) -> None:
    pages = sorted(site.program.parent.glob("page*.tsx"))
    assert len(pages) >= 3
    for page in pages:
        node(site.program.parents[1], "esbuild/bin/esbuild", str(page))


@pytest.mark.parametrize("module", ["dust", "plain"])
def test_a_signed_in_customer_sees_the_balance(site: Site, shopper: Storefront, module: str) -> None:
    assert site.call("balance", module=module)["error"]["code"] == "not_authenticated"
    balance = site.call("balance", shopper=shopper, module=module)["data"]
    assert (balance["customer_id"], balance["available"], balance["held"]) == (shopper.customer_id, DUST, 0)
    assert {"pending", "expiring"} <= balance.keys()


def test_prices_in_dust_are_public_and_in_the_products_metadata(site: Site, world: World, shopper: Storefront) -> None:
    mug = world.keys.mug
    world.bridge.ask("PUT", f"/admin/dust/products/{mug.id}", {"dust_only": True, "dust_price": 500})
    try:
        prices = site.call("products", [mug.id, world.keys.shirt.id])
        assert prices["data"] == {mug.id: {"dust_only": True, "dust_price": 500}}

        def metadata() -> Json:
            product = shopper.ask("GET", f"/store/products/{mug.id}?fields=%2Bmetadata")["product"]
            return dict(product["metadata"] or {})

        assert until(lambda: metadata().get("dust_price") == 500, PATIENCE_SECONDS)
        assert metadata()["dust_only"] is True
    finally:
        world.bridge.ask("DELETE", f"/admin/dust/products/{mug.id}")


def test_a_quote_says_what_the_cart_would_earn_and_can_take(site: Site, shopper: Storefront, cart: str) -> None:
    assert site.call("quote", shopper=shopper)["error"]["code"] == "no_cart"
    quote = site.call("quote", shopper=shopper, cart=cart)["data"]
    assert (quote["earn"], quote["max_dust"], quote["available"], quote["dust_only"]) == (40, DUST, DUST, 0)
    assert (quote["max_value"], quote["currency_code"]) == ("9.00", "eur")


def test_points_are_redeemed_into_the_cart_once_for_a_click_and_released(
    site: Site, shopper: Storefront, cart: str
) -> None:
    click = key()
    first, again = (site.call("redeem", {"dust": 500}, click, shopper=shopper, cart=cart) for _ in range(2))
    assert first["data"]["id"] == again["data"]["id"]
    assert (first["data"]["state"], first["data"]["value"]) == ("active", "5.00")
    assert shopper.cart(cart)["discount_total"] == 5

    assert "error" not in site.call("release", first["data"]["id"], shopper=shopper, cart=cart)
    assert until(lambda: available(site, shopper) == DUST, PATIENCE_SECONDS)


def test_a_sign_out_releases_what_is_in_the_cart(site: Site, shopper: Storefront, cart: str) -> None:
    site.call("redeem", {"dust": 500}, key(), shopper=shopper, cart=cart)
    assert available(site, shopper) == DUST - 500
    site.call("releaseCart", shopper=shopper, cart=cart)
    assert until(lambda: available(site, shopper) == DUST, PATIENCE_SECONDS)


def available(site: Site, shopper: Storefront) -> int:
    return int(site.call("balance", shopper=shopper)["data"]["available"])


def test_a_sentence_for_the_shopper_comes_with_every_refusal(site: Site, shopper: Storefront, cart: str) -> None:
    too_much = site.call("redeem", {"dust": 5000}, key(), shopper=shopper, cart=cart)["error"]
    assert (too_much["code"], too_much["available"]) == ("insufficient_dust", DUST)
    assert f"{DUST}" in too_much["message"]
    strangers = site.call("redeem", {"dust": 5}, key(), shopper=shopper, cart="cart_of_another_shopper")["error"]
    assert "cart" in strangers["message"]


def test_codes_are_as_the_guide_lists_them(world: World, shopper: Storefront, cart: str) -> None:
    listed = set(re.findall(r"\d{3} ((?:`\w+`(?:, )?)+)", GUIDE.partition("### What the customer sees")[2]))
    codes = {code for cell in listed for code in re.findall(r"`(\w+)`", cell)}

    def refusal(requested: Json, again: str = "") -> str:
        response = httpx.post(
            f"{world.shop.url}/store/dust/redemptions",
            json=requested,
            headers={
                "Authorization": f"Bearer {shopper.token}",
                "x-publishable-api-key": world.keys.publishable_key,
                "Idempotency-Key": again or key(),
            },
            timeout=30,
        )
        assert response.headers["content-type"].startswith("application/problem+json"), response.text
        problem = response.json()
        assert problem["message"] == problem["detail"]
        return str(problem["code"])

    used = key()
    shopper.ask("POST", "/store/dust/redemptions", {"dust": 10, "currency_code": "eur"}, **{"Idempotency-Key": used})
    seen = {
        refusal({"dust": 5000, "currency_code": "eur"}),
        refusal({"dust": 100, "currency_code": "usd"}),
        refusal({"cart_id": "cart_of_somebody", "dust": 5}),
        refusal({"cart_id": cart, "pay": "dust_only"}),
        refusal({"dust": 20, "currency_code": "eur"}, used),
    }
    assert seen == {
        "insufficient_dust",
        "no_redeem_rate",
        "unknown_cart",
        "nothing_to_pay",
        "idempotency_key_reused",
    }
    assert seen <= codes


def test_a_code_ends_the_payment_session_of_a_cart(world: World, shopper: Storefront, cart: str) -> None:
    shopper.choose_shipping(cart)
    shopper.pay(cart)
    world.redeem(shopper, {"cart_id": cart, "dust": 500})
    with pytest.raises(Refused, match=r"[Pp]ayment session"):
        shopper.complete(cart)
    shopper.pay(cart)
    shopper.complete(cart)


def test_setting_the_codes_of_a_cart_replaces_them_and_posting_promotions_adds(
    world: World, shopper: Storefront, cart: str
) -> None:
    codes = [world.redeem(shopper, {"dust": 100, "currency_code": "eur"})["code"] for _ in range(3)]

    def applied(path: str, code: str) -> set[str]:
        shopper.ask("POST", path, {"promo_codes": [code]})
        return {promotion["code"] for promotion in shopper.cart(cart)["promotions"]}

    assert applied(f"/store/carts/{cart}", codes[0]) == {codes[0]}
    assert applied(f"/store/carts/{cart}", codes[1]) == {codes[1]}
    assert applied(f"/store/carts/{cart}/promotions", codes[2]) == {codes[1], codes[2]}


def test_pages_are_shown_without_dust_while_it_is_away(
    site: Site, world: World, shopper: Storefront, cart: str
) -> None:
    with world.bridge.away():
        for module in ("dust", "plain"):
            assert "data" not in site.call("balance", shopper=shopper, module=module)
        assert "data" not in site.call("products", [world.keys.mug.id])
        assert "data" not in site.call("quote", shopper=shopper, cart=cart)
        refused = site.call("redeem", {"dust": 5}, key(), shopper=shopper, cart=cart)["error"]
        assert "again" in refused["message"]
