"""What an order's lines earn by the rules, and what is stored of that at their first settlement."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from bridge.ids import ProductId
from bridge.medusa.orders import Line, Order
from bridge.programme.earning import Earn, EarningLine, LineAttributes, LineTerms, line_terms
from bridge.redemptions.capture import FirstUse, FirstUses
from bridge.redemptions.repository import Redemption


def dust_only_lines(
    order: Order, known: Mapping[str, Mapping[str, Any]], dust_only: Collection[ProductId]
) -> frozenset[str]:
    """Return the lines that never earn.

    This is decided when a line is first seen: a setting changed later does not affect old orders.
    """
    return frozenset(
        line.id
        for line in order.lines
        if (known[line.id]["dust_only"] if line.id in known else line.product_id in dust_only)
    )


def terms_of_lines(order: Order, known: Mapping[str, Mapping[str, Any]], rules: Earn) -> dict[str, LineTerms]:
    """Return the terms of each line, as they were when the line was first settled.

    Later changes of a product's categories or of the customer's groups do not affect an old order.
    """
    return {
        line.id: read_terms(known.get(line.id, {})) or line_terms(rules, _traits(line, order), moment=order.placed_at)
        for line in order.lines
    }


def _traits(line: Line, order: Order) -> LineAttributes:
    return LineAttributes(
        product_id=line.product_id,
        category_ids=line.category_ids,
        collection_id=line.collection_id,
        customer_group_ids=order.customer_group_ids,
    )


def earning_lines(
    order: Order, rules: Earn, terms: Mapping[str, LineTerms], redemptions: Iterable[Redemption]
) -> list[EarningLine]:
    """Return the order's lines, reduced to what the customer keeps and has paid with money."""
    dust_codes = {code.code for redemption in redemptions for code in redemption.codes}
    return [_earning_line(order, line, rules, terms[line.id], dust_codes) for line in order.lines]


def _earning_line(order: Order, line: Line, rules: Earn, terms: LineTerms, dust_codes: set[str]) -> EarningLine:
    kept = order.kept_share(line, include_credit=rules.basis.include_credit)
    return EarningLine(
        id=line.id,
        terms=terms,
        net=line.net * kept,
        gross=line.gross * kept,
        units=line.units * _share_paid_with_money(line, dust_codes) * kept,
    )


def money_spent(order: Order, rules: Earn, dust_only: Collection[str]) -> Decimal:
    """Return the money spent on the order as it is now, by the basis of the rules, whether or not it earns."""
    basis = rules.basis
    amounts = [
        (line.gross if basis.include_tax else line.net) * order.kept_share(line, include_credit=basis.include_credit)
        for line in order.lines
        if line.id not in dust_only
    ]
    if basis.include_shipping:
        net, gross = kept_shipping(order, rules)
        amounts.append(gross if basis.include_tax else net)
    return sum(amounts, Decimal(0))


def kept_shipping(order: Order, rules: Earn) -> tuple[Decimal, Decimal]:
    """Return what the shop keeps of the order's shipping, without and with tax."""
    kept = order.kept_share(None, include_credit=rules.basis.include_credit)
    return order.shipping_net * kept, order.shipping_gross * kept


def _share_paid_with_money(line: Line, dust_codes: set[str]) -> Decimal:
    """Return the share of the line that was paid with money.

    What was paid with points earns nothing, also where points do not depend on the price. Otherwise a product that
    earns more fixed points than it costs in points would yield points without end.
    """
    with_dust = sum((use.amount for use in line.code_uses if use.code in dust_codes), Decimal(0))
    return line.gross / (line.gross + with_dust) if with_dust > 0 else Decimal(1)


def line_notes(
    order: Order,
    known: Mapping[str, Mapping[str, Any]],
    terms: Mapping[str, LineTerms],
    dust_only: Collection[str],
    shares: Mapping[str, Decimal],
    uses: FirstUses,
    *,
    final: bool = False,
) -> dict[str, dict[str, Any]]:
    """Return what the order's row stores about its lines; of the terms only what differs from an ordinary line.

    `final` says that Medusa's own answer has decided the terms, so that they never change again.

    A line removed by an order edit stays stored if points paid for a part of it: they are given back for it.
    """
    removed = {
        line_id: {**note, "share": "0"}
        for line_id, note in known.items()
        if "codes" in note and all(line.id != line_id for line in order.lines)
    }
    return removed | {
        line.id: {
            "dust_only": line.id in dust_only,
            "share": str(shares.get(line.id, Decimal(0))),
            **_note_terms(terms[line.id]),
            **_note_uses(line.id, known.get(line.id, {}), uses),
            **({"final": True} if final or "final" in known.get(line.id, {}) else {}),
        }
        for line in order.lines
    }


def final_notes(known: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return what is stored of the lines whose terms Medusa's answer has decided."""
    return {line_id: note for line_id, note in known.items() if "final" in note}


def _note_uses(line_id: str, known: Mapping[str, Any], uses: FirstUses) -> dict[str, Any]:
    codes = {
        code: {name: f"{value:f}" for name, value in asdict(lines[line_id]).items()}
        for code, lines in uses.items()
        if line_id in lines
    }
    codes |= known.get("codes", {})
    return {"codes": codes} if codes else {}


def read_first_uses(known: Mapping[str, Mapping[str, Any]]) -> FirstUses:
    """Return what codes took off the order's lines at its first settlement, as far as its row has it."""
    uses: dict[str, dict[str, FirstUse]] = {}
    for line_id, note in known.items():
        for code, use in note.get("codes", {}).items():
            first = FirstUse(**{name: Decimal(value) for name, value in use.items()})
            uses.setdefault(code, {})[line_id] = first
    return uses


def _note_terms(terms: LineTerms) -> dict[str, Any]:
    note: dict[str, Any] = {"factor": f"{terms.factor:f}"}
    if terms.multipliers:
        note["multipliers"] = list(terms.multipliers)
    if terms.fixed is not None:
        note["fixed"] = terms.fixed
    if terms.excluded:
        note["excluded"] = True
    return note


def read_terms(note: Mapping[str, Any]) -> LineTerms | None:
    """Return a line's stored terms; None if it was not settled yet, or was settled before terms were stored."""
    if "factor" not in note:
        return None
    return LineTerms(
        factor=Decimal(note["factor"]),
        multipliers=tuple(note.get("multipliers", ())),
        fixed=note.get("fixed"),
        excluded=note.get("excluded", False),
    )
