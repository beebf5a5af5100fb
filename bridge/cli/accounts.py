"""Commands for customers' points, for two accounts of one person, and for points prices of products.

What the API shows is imported in the functions that show it too, because FastAPI takes a second to import.
"""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import jwt
import typer

from bridge.cli.output import (
    ACTOR,
    AsJson,
    Customer,
    Description,
    Key,
    Limit,
    Reason,
    check_id,
    console,
    counted,
    print_json,
    print_result,
    print_rows,
)
from bridge.clock import now, real_now
from bridge.db import transaction
from bridge.errors import Unavailable, field_error
from bridge.ids import CustomerId, ProductId, new_id
from bridge.ledger.adjust import adjust_balance
from bridge.ledger.merges import merge_customers, unmerge_customer
from bridge.ledger.postings import MAX_DUST
from bridge.ledger.queries import read_balance, read_transactions
from bridge.medusa.client import get_medusa
from bridge.products.settings import NewProductSettings, set_products
from bridge.products.variants import NOT_CHECKED, price_refusals
from bridge.programme.days import local_date
from bridge.programme.versions import current_version
from bridge.queue.enqueue import PRODUCTS_MIRROR, publish
from bridge.reports.explain import explain as explain_balance
from bridge.settings import get_settings
from bridge.settlement.referrals import settle_referrals
from bridge.settlement.tier_history import read_tier
from bridge.settlement.write import settle_limits

products = typer.Typer(help="Points prices of products.", no_args_is_help=True)


def balance(customer: Customer, as_json: AsJson = False) -> None:
    """A customer's balance. Example: dust balance cus_01J9ZK3V5C"""
    from bridge.api.store.balance import balance_response

    with transaction() as connection:
        tier = read_tier(connection, CustomerId(customer), now=now())
        time_zone = current_version(connection).programme.time_zone
        shown = balance_response(read_balance(connection, CustomerId(customer)), tier)
    if as_json:
        print_json(shown.model_dump(mode="json"))
        return
    console.print(
        f"{counted(shown.balance, 'point')}: {shown.available} available, {shown.held} held, {shown.pending} pending"
    )
    for points in shown.expiring:
        console.print(f"  {points.amount} expire {local_date(points.expires_at, time_zone):%Y-%m-%d}")
    if shown.tier:
        console.print(f"  tier {shown.tier.name or 'none yet'}, factor {shown.tier.factor}", highlight=False)


def history(
    customer: Customer,
    limit: Limit = 20,
    memos: Annotated[bool, typer.Option("--memos", help="Also holds, releases and pending points.")] = False,
    as_json: AsJson = False,
) -> None:
    """A customer's history, newest first. Example: dust history cus_01J9ZK3V5C"""
    from bridge.api.store.transactions import TransactionResponse

    with transaction() as connection:
        rows = read_transactions(connection, CustomerId(customer), limit=limit, memos=memos)
    shown = [TransactionResponse.model_validate(row).model_dump() for row in rows]
    columns = ("created_at", "amount", "kind", "reference_id", "description", "balance_after")
    print_rows(shown, columns, as_json=as_json, empty="No transactions yet.")


def explain(customer: Customer, as_json: AsJson = False) -> None:
    """Explain a balance in sentences. Example: dust explain cus_01J9ZK3V5C"""
    with transaction() as connection:
        explanation = explain_balance(connection, CustomerId(customer))
    if as_json:
        print_json({"summary": explanation.summary, "steps": [asdict(step) for step in explanation.steps]})
        return
    for step in explanation.steps:
        console.print(step.sentence, markup=False, highlight=False)
    for line in explanation.summary:
        console.print(line, markup=False, highlight=False)


def adjust(
    customer: Customer,
    amount: Annotated[int, typer.Argument(help="Whole points; a negative number is a debit.")],
    reason: Reason,
    description: Description = "",
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Credit or debit by hand. Example: dust adjust cus_01J9ZK3V5C -50 --reason "credited twice" """
    from bridge.api.store.transactions import TransactionResponse

    if not reason.strip():
        raise field_error("reason", "is required")
    with transaction() as connection:
        row = adjust_balance(
            connection,
            CustomerId(customer),
            amount,
            reason=reason,
            description=description,
            idempotency_key=key or new_id("key"),
            actor=ACTOR,
            now=now(),
        )
    shown = TransactionResponse.model_validate(row)
    sign = "+" if shown.amount > 0 else ""
    sentence = f"{sign}{counted(shown.amount, 'point')}, balance {shown.balance_after} ({shown.id})"
    print_result(shown.model_dump(mode="json"), sentence, as_json=as_json)


def merge(
    customer: Customer,
    into: Annotated[str, typer.Option(help="The customer that keeps the points.", callback=check_id)],
    as_json: AsJson = False,
) -> None:
    """Merge two accounts of one person. Example: dust merge cus_01J9ZK3V5C --into cus_01J8AB2X7D

    `dust unmerge` undoes it, as far as the points are neither spent nor held by then.
    """
    with transaction() as connection:
        done = merge_customers(connection, CustomerId(customer), CustomerId(into), actor=ACTOR, now=now())
    with transaction() as connection:
        settle_referrals(connection, [done.customer_id, done.survivor_id], now=now())
        balance = read_balance(connection, CustomerId(into)).balance
    sentence = f"{customer} is merged into {into}, which has {counted(balance, 'point')} now ({done.id})."
    print_result({**vars(done), "balance": balance}, sentence, as_json=as_json)


def unmerge(customer: Customer, as_json: AsJson = False) -> None:
    """Undo a merge. Example: dust unmerge cus_01J9ZK3V5C"""
    with transaction() as connection:
        done = unmerge_customer(connection, CustomerId(customer), actor=ACTOR, now=now())
    accounts = [done.merge.customer_id, done.merge.survivor_id]
    with transaction() as connection:
        settle_limits(connection, accounts, since=done.merge.merged_at, now=now())
    with transaction() as connection:
        settle_referrals(connection, accounts, now=now())
    sentence = f"{customer} has {done.returned} of its {counted(done.brought, 'point')} back."
    print_result({**vars(done.merge), "brought": done.brought, "returned": done.returned}, sentence, as_json=as_json)


@products.command(name="set")
def product_set(
    product: Annotated[str, typer.Argument(help="A Medusa product id, prod_…", callback=check_id)],
    price: Annotated[int, typer.Option(min=1, max=MAX_DUST, help="Points for one unit.")],
    dust_only: Annotated[bool, typer.Option("--dust-only", help="It can only be bought with points.")] = False,
    as_json: AsJson = False,
) -> None:
    """Set a product's points price. Example: dust product set prod_01J9 --price 500 --dust-only"""
    requested = NewProductSettings(product_id=ProductId(product), dust_only=dust_only, dust_price=price)
    warning = None
    try:
        refused = price_refusals({requested.product_id}, get_medusa)
    except Unavailable:
        refused, warning = {}, NOT_CHECKED
    if refused:
        raise field_error("--price", refused[requested.product_id])
    with transaction() as connection:
        written = set_products(connection, [requested], actor=ACTOR, now=now())[0]
    publish(PRODUCTS_MIRROR)
    shown = {"product_id": product, "dust_only": written.dust_only, "dust_price": written.dust_price}
    sentence = f"{product}: {counted(price, 'point')}" + (", points only" if dust_only else "")
    print_result(shown, sentence, as_json=as_json)
    if warning:
        typer.echo(warning, err=True)


def token(
    customer: Customer,
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="Minutes until it expires.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Create a customer token like Medusa's, to try the Store API. Example: dust token cus_1

    It is signed with DUST_JWT_SECRET. If Medusa signs with a key pair, only Medusa can create tokens.
    """
    settings = get_settings()
    settings.require("jwt_secret")
    assert settings.jwt_secret is not None
    issued = real_now()
    claims = {"actor_id": customer, "actor_type": "customer", "exp": issued + timedelta(minutes=minutes), "iat": issued}
    token = jwt.encode(claims, settings.jwt_secret.get_secret_value(), "HS256")
    if as_json:
        print_json({"token": token})
    else:
        print(token)
