"""What docs/how-to/storefront.md tells a storefront developer to write is run, with Medusa's JS SDK, at a real Medusa.

The starter itself cannot be installed from a package registry; what the examples take from it is stood in for by a few
lines in `storefront/`.
"""

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.development.demo.people import Json, Refused, Storefront
from bridge.development.stack.processes import until
from tests.support.built_shop import PROJECT, built_shop
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
        environment = {
            "PATH": os.environ["PATH"],
            "MEDUSA_BACKEND_URL": self.world.shop.url,
            "PUBLISHABLE_KEY": self.world.keys.publishable_key,
            "DUST_URL": self.world.bridge.url,
            "TOKEN": shopper.token if shopper else "",
            "CART_ID": cart,
        }
        requested = json.dumps({"module": module, "call": name, "args": args})
        done = run(["node", self.program, requested], environment)
        return json.loads(done)["answer"]


def run(command: list[str | Path], environment: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def site(world: World) -> Iterator[Site]:
    server = built_shop()
    installed = server.parents[2]
    # Below the installation, where Node and the compilers find its packages.
    folder = installed / f"storefront-{uuid.uuid4().hex[:8]}"
    shutil.copytree(STAND_INS, folder)
    shutil.copytree(PROJECT / "medusa-plugin" / "src", folder / "plugin")
    whole, direct, *_ = examples("ts")
    imports = whole[: whole.index("/** Undefined for guests")]
    (folder / "lib" / "data" / "dust.ts").write_text(whole)
    (folder / "lib" / "data" / "direct.ts").write_text(imports + direct)
    for number, page in enumerate(examples("tsx")):
        (folder / f"page{number}.tsx").write_text(page)
    tools = installed / "node_modules" / ".bin"
    run([tools / "tsc", "--project", folder / "tsconfig.json"])
    command = [tools / "esbuild", "play.ts", "--bundle", "--platform=node", "--outfile=play.cjs"]
    run([*command, "--alias:@lib=./lib", "--alias:next/cache=./next-cache.ts"], cwd=folder)
    yield Site(program=folder / "play.cjs", world=world)
    shutil.rmtree(folder, ignore_errors=True)


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
        run([site.program.parents[1] / "node_modules" / ".bin" / "esbuild", page])


@pytest.mark.parametrize("module", ["dust", "direct"])
def test_the_balance_is_there_for_who_is_signed_in(site: Site, shopper: Storefront, module: str) -> None:
    assert site.call("retrieveDust", module=module) is None
    balance = site.call("retrieveDust", shopper=shopper, module=module)
    assert (balance["customer_id"], balance["available"], balance["held"]) == (shopper.customer_id, DUST, 0)
    assert {"pending", "expiring"} <= balance.keys()


def test_prices_in_dust_are_public_and_in_the_products_metadata(site: Site, world: World, shopper: Storefront) -> None:
    mug = world.keys.mug
    world.bridge.ask("PUT", f"/admin/dust/products/{mug.id}", {"dust_only": True, "dust_price": 500})
    try:
        prices = site.call("listDustPrices", [mug.id, world.keys.shirt.id])
        assert prices == {mug.id: {"dust_only": True, "dust_price": 500}}

        def metadata() -> Json:
            product = shopper.ask("GET", f"/store/products/{mug.id}?fields=%2Bmetadata")["product"]
            return dict(product["metadata"] or {})

        assert until(lambda: metadata().get("dust_price") == 500, PATIENCE_SECONDS)
        assert metadata()["dust_only"] is True
    finally:
        world.bridge.ask("DELETE", f"/admin/dust/products/{mug.id}")


def test_a_quote_says_what_the_cart_would_earn_and_can_take(site: Site, shopper: Storefront, cart: str) -> None:
    assert site.call("quoteDust", cart=cart) is None
    assert site.call("quoteDust", shopper=shopper) is None
    quote = site.call("quoteDust", shopper=shopper, cart=cart)
    assert (quote["earn"], quote["max_dust"], quote["available"], quote["dust_only"]) == (40, DUST, DUST, 0)
    assert (quote["max_value"], quote["currency_code"]) == ("9.00", "eur")


def test_dust_is_redeemed_into_the_cart_once_for_a_click_and_given_back(
    site: Site, shopper: Storefront, cart: str
) -> None:
    click, requested = key(), {"cart_id": cart, "dust": 500}
    assert site.call("redeemDust", requested, click, shopper=shopper, cart=cart) == {}
    assert site.call("redeemDust", requested, click, shopper=shopper, cart=cart) == {}
    assert shopper.cart(cart)["discount_total"] == 5
    (redemption,) = shopper.ask("GET", "/store/dust/redemptions")["redemptions"]
    assert (redemption["state"], redemption["value"]) == ("active", "5.00")
    assert redemption["expires_at"]

    assert site.call("releaseDust", redemption["id"], shopper=shopper, cart=cart) == {}

    def available() -> bool:
        return bool(site.call("retrieveDust", shopper=shopper)["available"] == DUST)

    assert until(available, PATIENCE_SECONDS)


def test_a_sentence_for_the_shopper_comes_with_every_no(site: Site, shopper: Storefront, cart: str) -> None:
    too_much = site.call("redeemDust", {"dust": 5000, "currency_code": "eur"}, key(), shopper=shopper)
    assert str(DUST) in too_much["error"]
    strangers = site.call("redeemDust", {"cart_id": "cart_of_somebody", "dust": 5}, key(), shopper=shopper)
    assert "cart" in strangers["error"]


def test_codes_are_as_the_guide_lists_them(world: World, shopper: Storefront, cart: str) -> None:
    listed = set(re.findall(r"\d{3} ((?:`\w+`(?:, )?)+)", GUIDE.partition("### What the customer sees")[2]))
    codes = {code for cell in listed for code in re.findall(r"`(\w+)`", cell)}

    def refusal(requested: Json, again: str = "") -> str:
        answer = httpx.post(
            f"{world.shop.url}/store/dust/redemptions",
            json=requested,
            headers={
                "Authorization": f"Bearer {shopper.token}",
                "x-publishable-api-key": world.keys.publishable_key,
                "Idempotency-Key": again or key(),
            },
            timeout=30,
        )
        assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
        problem = answer.json()
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
        assert site.call("retrieveDust", shopper=shopper) is None
        assert site.call("retrieveDust", shopper=shopper, module="direct") is None
        assert site.call("listDustPrices", [world.keys.mug.id]) == {}
        assert site.call("quoteDust", shopper=shopper, cart=cart) is None
        outcome = site.call("redeemDust", {"cart_id": cart, "dust": 5}, key(), shopper=shopper, cart=cart)
        assert "again" in outcome["error"]
