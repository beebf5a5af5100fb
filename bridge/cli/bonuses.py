"""Commands that give bonuses."""

from typing import Annotated

import typer

from bridge.cli.output import ACTOR, AsJson, Description, Key, Reason, check_ids, console, counted, print_json
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import field_error
from bridge.ids import CustomerId, new_id
from bridge.ledger.postings import MAX_DUST
from bridge.settlement.manual_bonuses import MAX_DAYS, NewBonus, give_bonus


def bonus(
    customers: Annotated[list[str], typer.Argument(help="Medusa customer ids, cus_…", callback=check_ids)],
    amount: Annotated[int, typer.Option(min=1, max=MAX_DUST, help="Whole points for each of them.")],
    reason: Reason,
    description: Description = "",
    expires_after_days: Annotated[
        int | None, typer.Option(min=1, max=MAX_DAYS, help="Default: as the programme says for earned points.")
    ] = None,
    matures_after_days: Annotated[
        int, typer.Option(min=0, max=MAX_DAYS, help="Until then the points are pending.")
    ] = 0,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Give points to customers, all or none. Example: dust bonus cus_01J9ZK3V5C --amount 100 --reason "birthday" """
    # Imported here because FastAPI takes a second.
    from bridge.api.admin.bonuses import bonus_response

    if not reason.strip():
        raise field_error("reason", "is required")
    new_bonus = NewBonus(
        customer_ids=tuple(CustomerId(customer) for customer in customers),
        amount=amount,
        reason=reason,
        description=description,
        expires_after_days=expires_after_days,
        matures_after_days=matures_after_days,
    )
    with transaction() as connection:
        shown = bonus_response(
            give_bonus(connection, new_bonus, idempotency_key=key or new_id("key"), actor=ACTOR, now=now())
        )  # fmt: skip
    if as_json:
        print_json(shown.model_dump(mode="json"))
        return
    for row in shown.transactions:
        console.print(f"{row.customer_id}: +{counted(shown.amount, 'point')}, balance {row.balance_after} ({row.id})")
