"""Commands for the points of guests' orders."""

from typing import Annotated

import typer

from bridge.cli.output import ACTOR, AsJson, Customer, Limit, console, counted, print_json, print_result, print_rows
from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId, OrderId
from bridge.inbox.customers import claim_by_support
from bridge.reports.explain import explain_escrow
from bridge.settlement.email_hash import replace_key
from bridge.settlement.escrow import list_escrows, read_escrow, read_escrow_totals
from bridge.settlement.tables import EscrowState

_COLUMNS = ("order_id", "state", "dust", "expires_at", "customer_id", "proof")

group = typer.Typer(help="Points of guests' orders.", no_args_is_help=True)


@group.command(name="list")
def list_waiting(
    state: Annotated[EscrowState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Points of guests in escrow, newest first. Example: dust guests list --state waiting"""
    with transaction() as connection:
        waiting = read_escrow_totals(connection)
        escrows = list_escrows(connection, state=state, limit=limit)
    rows = [{name: getattr(escrow, name) for name in _COLUMNS} for escrow in escrows]
    if as_json:
        print_json({"waiting_orders": waiting.orders, "waiting_dust": waiting.dust, "escrows": rows})
        return
    print_rows(rows, _COLUMNS, empty="There are no orders of guests yet.")
    console.print(f"{counted(waiting.dust, 'point')} of {counted(waiting.orders, 'order')} wait to be claimed.")


@group.command()
def show(order: Annotated[str, typer.Argument(help="A Medusa order id, order_…")], as_json: AsJson = False) -> None:
    """Explain the points of a guest's order in sentences. Example: dust guests show order_01J9ZK3V5C"""
    with transaction() as connection:
        escrow = read_escrow(connection, OrderId(order))
        sentences = explain_escrow(connection, escrow)
    if as_json:
        print_json({**{name: getattr(escrow, name) for name in _COLUMNS}, "sentences": sentences})
        return
    for sentence in sentences:
        console.print(sentence, markup=False, highlight=False)


@group.command()
def claim(
    customer: Customer,
    email: Annotated[
        str,
        typer.Option(
            help="The e-mail of the orders. With `-` you are asked, so that it is not in the shell's history."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be claimed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a customer the points of their guest orders. Example: dust guests claim cus_01J9ZK3V5C --email -

    First let them prove that the e-mail is theirs: Medusa does not check it.
    """
    address = typer.prompt("E-mail", err=True) if email == "-" else email
    with transaction() as connection:
        orders = claim_by_support(
            connection, CustomerId(customer), address.strip(), dry_run=dry_run, actor=ACTOR, now=now()
        )
    rows = [{"order_id": order_id, "dust": dust} for order_id, dust in sorted(orders.items())]
    if as_json:
        print_json({"customer_id": customer, "dry_run": dry_run, "dust": sum(orders.values()), "orders": rows})
        return
    print_rows(rows, ("order_id", "dust"), empty="No orders wait under this e-mail.")
    console.print(f"{counted(sum(orders.values()), 'point')} {'would be ' if dry_run else ''}claimed.")


@group.command(name="replace-key")
def new_key(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, as_json: AsJson = False) -> None:
    """Create a new key for the hashes of guests' e-mails. Example: dust guests replace-key --yes

    The old hashes are deleted. `dust reconcile --since` reads the e-mails of waiting orders from Medusa again.
    """
    if not yes:
        typer.confirm("All hashes are deleted until you reconcile. Continue?", abort=True, err=True)
    with transaction() as connection:
        lost = replace_key(connection, now=now())
    sentence = f"A new key is in use. {lost} orders wait without a hash: run `dust reconcile --since` their date."
    print_result({"orders_without_hash": lost}, sentence, as_json=as_json)
