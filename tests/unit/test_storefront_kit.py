"""The storefront kit has copies of what the bridge and the plugin say. They are the same."""

from bridge.api.store import redemptions as store_redemptions
from bridge.errors import DustError, KeyReused, Unavailable
from bridge.ledger.account import InsufficientDust
from bridge.medusa.carts import UnreadableCart
from bridge.medusa.errors import MedusaRefused
from bridge.products import variants
from bridge.redemptions import carts, repository, service
from bridge.redemptions.pricing import rewards, terms
from bridge.redemptions.tables import OPEN_STATES
from tests.support.source_files import ROOT

KIT = ROOT / "storefront-kit/src"
GERMAN = (KIT / "messages/de.ts").read_text()
# A fault of the storefront: the kit always sends the cart.
_NOT_FOR_SHOPPERS = {"cart_needed"}


def test_the_kit_knows_the_sentences_of_the_checkout_guard() -> None:
    plugin = ROOT / "medusa-plugin/src/lib/guard-sentences.ts"
    assert (KIT / "guard-sentences.ts").read_text() == plugin.read_text(), "copy the plugin's file into the kit"


def test_the_kit_has_a_german_sentence_for_each_error_of_a_redemption() -> None:
    codes = {InsufficientDust.code, KeyReused.code}
    for module in (carts, repository, service, rewards, terms, variants):
        errors = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, DustError)]
        codes |= {error.code for error in errors if error.__module__ == module.__name__}
    assert {code for code in codes - _NOT_FOR_SHOPPERS if f"    {code}: " not in GERMAN} == set()


def test_the_kit_has_a_german_sentence_for_each_error_that_has_one_for_shoppers() -> None:
    kinds: list[type[DustError]] = [UnreadableCart, MedusaRefused]
    waiting = list(DustError.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        # All errors of the server have one sentence.
        if kind.shopper_message and not issubclass(kind, Unavailable) and kind.__module__.startswith("bridge."):
            kinds.append(kind)
    assert {kind.code for kind in kinds if f"    {kind.code}: " not in GERMAN} == set()


def test_the_kit_has_a_german_sentence_for_each_reason_of_an_open_redemption() -> None:
    reasons = {store_redemptions.REASONS_FOR_SHOPPERS[state] for state in OPEN_STATES}
    reasons.add(store_redemptions.RELEASE_REQUESTED)
    assert {reason for reason in reasons if f'"{reason}":' not in GERMAN} == set()
