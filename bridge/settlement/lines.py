"""What an order's lines are worth by the rules, and what of that is remembered from their first settlement on."""

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

from bridge.ids import ProductId
from bridge.medusa.orders import Line, Order
from bridge.programme.rules import Earn, Traits
from bridge.programme.worth import EarningLine, LineTerms, line_terms
from bridge.redemptions.promises import Redemption


def dust_only_lines(
    order: Order, known: Mapping[str, Mapping[str, Any]], dust_only: Collection[ProductId]
) -> frozenset[str]:
    """Lines that never earn. Decided when a line is first seen: a setting changed later leaves old orders alone."""
    return frozenset(
        line.id
        for line in order.lines
        if (known[line.id]["dust_only"] if line.id in known else line.product_id in dust_only)
    )


def terms_of_lines(order: Order, known: Mapping[str, Mapping[str, Any]], rules: Earn) -> dict[str, LineTerms]:
    """What the rules say of each line, as it was when the line was first settled.

    Whatever a product's categories or the customer's groups are by now, an old order keeps what it met.
    """
    return {
        line.id: _read_terms(known.get(line.id, {})) or line_terms(rules, _traits(line, order), moment=order.placed_at)
        for line in order.lines
    }


def _traits(line: Line, order: Order) -> Traits:
    return Traits(
        product_id=line.product_id,
        category_ids=line.category_ids,
        collection_id=line.collection_id,
        customer_group_ids=order.customer_group_ids,
    )


def earning_lines(order: Order, terms: Mapping[str, LineTerms], redemptions: Iterable[Redemption]) -> list[EarningLine]:
    """The order's lines as far as the customer keeps them and has paid for them with money."""
    dust_codes = {code.code for redemption in redemptions for code in redemption.codes}
    return [
        EarningLine(
            id=line.id,
            terms=terms[line.id],
            net=line.net * line.kept_share,
            gross=line.gross * line.kept_share,
            units=line.units * _share_paid_with_money(line, dust_codes) * line.kept_share,
        )
        for line in order.lines
    ]


def _share_paid_with_money(line: Line, dust_codes: set[str]) -> Decimal:
    """What was paid with dust earns nothing, also where dust does not follow from the price.

    Else a product with more fixed dust than it costs in dust would be a well that never dries up.
    """
    with_dust = sum((use.amount for use in line.code_uses if use.code in dust_codes), Decimal(0))
    return line.gross / (line.gross + with_dust) if with_dust else Decimal(1)


def line_notes(
    order: Order, terms: Mapping[str, LineTerms], dust_only: Collection[str], shares: Mapping[str, Decimal]
) -> dict[str, dict[str, Any]]:
    """What the order's row remembers of its lines; of the terms, what differs from an ordinary line's."""
    return {
        line.id: {
            "dust_only": line.id in dust_only,
            "share": str(shares.get(line.id, Decimal(0))),
            **_note_terms(terms[line.id]),
        }
        for line in order.lines
    }


def _note_terms(terms: LineTerms) -> dict[str, Any]:
    note: dict[str, Any] = {"factor": f"{terms.factor:f}"}
    if terms.multipliers:
        note["multipliers"] = list(terms.multipliers)
    if terms.fixed is not None:
        note["fixed"] = terms.fixed
    if terms.excluded:
        note["excluded"] = True
    return note


def _read_terms(note: Mapping[str, Any]) -> LineTerms | None:
    """None for a line that was not settled yet, or before terms were remembered."""
    if "factor" not in note:
        return None
    return LineTerms(
        factor=Decimal(note["factor"]),
        multipliers=tuple(note.get("multipliers", ())),
        fixed=note.get("fixed"),
        excluded=note.get("excluded", False),
    )
