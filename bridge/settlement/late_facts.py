"""What facts that come late say about an order as it was placed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bridge.medusa.orders import Order
from bridge.products.settings import dust_only_among
from bridge.programme.versions import versions_by_number
from bridge.redemptions.capture import FirstUses, first_uses, is_used_by
from bridge.redemptions.repository import redemptions_of_orders
from bridge.settlement.facts import age
from bridge.settlement.lines import dust_only_lines, lines_to_store, terms_of_lines
from bridge.settlement.repository import change_rows, read_rows
from bridge.settlement.stored_lines import StoredLine, read_lines, uses_by_code


def store_first_uses(connection: Connection, late: Sequence[Order], *, now: datetime) -> None:
    """Store what codes took off these orders, if what is stored is of a later version. The orders' rows are locked.

    An order edit leaves a discount as it was, so only the first version shows for how many units points have paid. The
    orders are then compared with Medusa, which settles them again.
    """
    newest_first = sorted((order for order in late if order.codes and not order.is_draft), key=age, reverse=True)
    if not newest_first:
        return
    ids = {order.id for order in newest_first}
    rows = read_rows(connection, ids)
    redemptions = redemptions_of_orders(
        connection, codes={code for order in newest_first for code in order.codes}, order_ids=list(ids), lock=False
    )
    versions = versions_by_number(
        connection, {row.programme_version for row in rows.values() if row.programme_version is not None}
    )
    changed: dict[str, Mapping[str, StoredLine]] = {}
    for order in newest_first:
        row = rows[order.id]
        known = changed.get(order.id) or read_lines(row.lines)
        used = first_uses(order, (redemption for redemption in redemptions if is_used_by(redemption, order)))
        earlier = _earlier(used, uses_by_code(known), order.version)
        if earlier and row.programme_version is not None:
            rules = versions[row.programme_version].programme.earn
            products = dust_only_among(connection, {line.product_id for line in order.lines if line.product_id})
            others = {
                line_id: replace(line, uses={code: use for code, use in line.uses.items() if code not in earlier})
                for line_id, line in known.items()
            }
            terms, dust_only = terms_of_lines(order, known, rules), dust_only_lines(order, known, products)
            placed = lines_to_store(order, others, terms, dust_only, {}, earlier)
            changed[order.id] = placed | {
                line_id: replace(line, uses=placed[line_id].uses) if line_id in placed else line
                for line_id, line in others.items()
            }
    stored = [
        {"order_id": order_id, "lines": {line_id: line.to_json() for line_id, line in lines.items()}, "check_at": now}
        for order_id, lines in changed.items()
    ]
    change_rows(connection, stored)


def _earlier(used: FirstUses, stored: FirstUses, version: int) -> FirstUses:
    """Return the uses of codes of which those of a later version are stored."""
    return {
        code: by_line
        for code, by_line in used.items()
        if by_line and any(use.version > version for use in stored.get(code, {}).values())
    }
