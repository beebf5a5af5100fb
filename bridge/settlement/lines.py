"""What of an order's lines and shipping earns points, and by which terms."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from bridge.ids import ProductId
from bridge.medusa.order_lines import Line
from bridge.medusa.orders import Order
from bridge.programme.earning import Earn, EarningLine, LineAttributes, LineTerms, line_terms
from bridge.redemptions.capture import FirstUses, units_paid
from bridge.redemptions.repository import Redemption
from bridge.settlement.stored_lines import StoredLine


def dust_only_lines(order: Order, known: Mapping[str, StoredLine], products: Collection[ProductId]) -> frozenset[str]:
    """Return the ids of points-only lines; `products` are those that are points-only now.

    This is decided when a line is first seen: a setting changed later does not affect old orders.
    """
    return frozenset(
        line.id
        for line in order.lines
        if (known[line.id].dust_only if line.id in known else line.product_id in products)
    )


def terms_of_lines(order: Order, known: Mapping[str, StoredLine], rules: Earn) -> dict[str, LineTerms]:
    """Return the terms of each line, as they were when the line was first settled."""
    return {
        line.id: known[line.id].terms
        if line.id in known
        else line_terms(rules, _line_attributes(line, order), moment=order.placed_at)
        for line in order.lines
    }


def _line_attributes(line: Line, order: Order) -> LineAttributes:
    return LineAttributes(
        product_id=line.product_id,
        category_ids=line.category_ids,
        collection_id=line.collection_id,
        customer_group_ids=order.customer_group_ids,
    )


def earning_lines(
    order: Order,
    rules: Earn,
    terms: Mapping[str, LineTerms],
    redemptions: Iterable[Redemption],
    known: Mapping[str, StoredLine],
) -> list[EarningLine]:
    """Return the order's lines, reduced to what the customer keeps and has paid with money.

    `known` are the lines as they were stored. A code pays for no more units of a line than when the order was placed,
    although another line that it paid for has come back.
    """
    codes = [code for redemption in redemptions for code in redemption.codes]
    discounts = {code.code for code in codes if not code.quantity}
    units_with_dust: dict[str, Decimal] = defaultdict(Decimal)
    for code in codes:
        for line_id, units in units_paid(code, order).items():
            first = known[line_id].uses.get(code.code) if line_id in known else None
            units_with_dust[line_id] += min(units, first.units) if first else units
    return [
        _earning_line(
            order, line, rules, terms[line.id], _share_paid_with_money(line, discounts, units_with_dust[line.id])
        )
        for line in order.lines
    ]


def _earning_line(order: Order, line: Line, rules: Earn, terms: LineTerms, with_money: Decimal) -> EarningLine:
    kept = order.kept_share(line, include_credit=rules.basis.include_credit)
    return EarningLine(
        id=line.id,
        terms=terms,
        net=line.net * kept,
        gross=line.gross * kept,
        units=line.units * with_money * kept,
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


def _share_paid_with_money(line: Line, dust_discounts: Collection[str], units_with_dust: Decimal) -> Decimal:
    """Return the share of the line's units that were paid with money.

    What was paid with points earns nothing, also where points do not depend on the price. Otherwise a product that
    earns more fixed points than it costs in points would yield points without end.

    Example: points paid for 1 of 4 mugs, and a discount from points took 10.00 of 30.00 off the others: one half.
    """
    units = max(line.ordered - units_with_dust, Decimal(0)) / line.ordered if units_with_dust else Decimal(1)
    with_dust = sum((use.amount for use in line.code_uses if use.code in dust_discounts), Decimal(0))
    return units * line.gross / (line.gross + with_dust) if with_dust > 0 else units


def lines_to_store(
    order: Order,
    known: Mapping[str, StoredLine],
    terms: Mapping[str, LineTerms],
    dust_only: Collection[str],
    points: Mapping[str, Decimal],
    uses: FirstUses,
    *,
    final: bool = False,
) -> dict[str, StoredLine]:
    """Return what the order's row stores of its lines.

    A line removed by an order edit stays stored if points paid for a part of it: they are given back for it.
    """
    present = {line.id for line in order.lines}
    # Stored uses are those of the first settlement, and none of lines that an edit added.
    stored_codes = {code for line in known.values() for code in line.uses}
    uses = {code: by_line for code, by_line in uses.items() if code not in stored_codes}
    removed = {
        line_id: replace(line, points=Decimal(0))
        for line_id, line in known.items()
        if line.uses and line_id not in present
    }
    return removed | {
        line.id: StoredLine(
            dust_only=line.id in dust_only,
            terms=terms[line.id],
            final=final or (line.id in known and known[line.id].final),
            points=points.get(line.id, Decimal(0)),
            uses={code: by_line[line.id] for code, by_line in uses.items() if line.id in by_line}
            | (dict(known[line.id].uses) if line.id in known else {}),
        )
        for line in order.lines
    }
