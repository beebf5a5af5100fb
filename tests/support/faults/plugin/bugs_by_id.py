"""Bugs that affect only ids which contain the bug's name, so that one Dust can have all of them at once."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

Mine = Callable[[object], bool]


def silent(mine: Mine) -> None:
    """No outgoing webhook is sent."""
    from bridge.ledger import outgoing_webhooks

    webhooks = outgoing_webhooks._webhooks
    outgoing_webhooks._webhooks = lambda account, quiet: () if mine(account.customer_id) else webhooks(account, quiet)


def silent_end(mine: Mine) -> None:
    """No outgoing webhook about expired points is sent."""
    from bridge.ledger import outgoing_webhooks
    from bridge.outgoing.tables import OutgoingWebhookType

    webhooks = outgoing_webhooks._webhooks

    def some(account: Any, quiet: Any) -> Any:
        reported = webhooks(account, quiet)
        return (
            [n for n in reported if n.type is not OutgoingWebhookType.EXPIRED]
            if mine(account.customer_id)
            else reported
        )

    outgoing_webhooks._webhooks = some


def sent_twice(mine: Mine) -> None:
    """Two webhooks are written of each movement."""
    from bridge.ledger import outgoing_webhooks

    webhooks = outgoing_webhooks._webhooks
    outgoing_webhooks._webhooks = lambda account, quiet: (
        [*webhooks(account, quiet)] * (2 if mine(account.customer_id) else 1)
    )


def warned_twice(mine: Mine) -> None:
    """Two webhooks are written of dust that expires soon."""
    from bridge.ledger import outgoing_webhooks
    from bridge.outgoing.tables import OutgoingWebhookType

    put = outgoing_webhooks.add_webhooks

    def insistent(connection: Any, webhooks: Any, *, now: Any) -> None:
        again = [
            webhook
            for webhook in webhooks
            if webhook.type is OutgoingWebhookType.EXPIRING and mine(webhook.customer_id)
        ]
        put(connection, [*webhooks, *again], now=now)

    outgoing_webhooks.add_webhooks = insistent


def refusal_is_delivery(mine: Mine) -> None:
    """A webhook counts as delivered after any response."""
    from bridge.outgoing import send

    outcome = send._next_state

    def hopeful(row: Any, attempt: Any) -> Any:
        return outcome(row, dataclasses.replace(attempt, reason=None) if mine(row.customer_id) else attempt)

    send._next_state = hopeful


def new_name_each_time(mine: Mine) -> None:
    """A webhook gets a new id each time it is sent."""
    from bridge.outgoing import send

    post = send._post

    def renaming(http: Any, settings: Any, row: Any) -> Any:
        if row.attempts and mine(row.customer_id):
            row = SimpleNamespace(**{**row._mapping, "id": f"{row.id}-{row.attempts}"})
        return post(http, settings, row)

    send._post = renaming


def merge_loses(mine: Mine) -> None:
    """A merge loses the last lot that it carries over."""
    from bridge.ledger.account import Account

    take = Account.receive_lots

    def careless(self: Any, parcels: Any, details: Any, *, now: Any) -> None:
        take(self, parcels[:-1] if mine(self.customer_id) else parcels, details, now=now)

    Account.receive_lots = careless  # type: ignore[method-assign]


def merge_doubles(mine: Mine) -> None:
    """A merge credits each lot twice."""
    from bridge.ledger.account import Account

    take = Account.receive_lots

    def generous(self: Any, parcels: Any, details: Any, *, now: Any) -> None:
        take(self, parcels * 2 if mine(self.customer_id) else parcels, details, now=now)

    Account.receive_lots = generous  # type: ignore[method-assign]


def guest_paid_twice(mine: Mine) -> None:
    """A guest's orders are in the list of those to pay out twice."""
    from bridge.settlement import claims

    credit = claims._credit

    def twice(connection: Any, customer_id: Any, orders: Any, *how: Any) -> None:
        credit(connection, customer_id, [*orders, *orders] if mine(customer_id) else orders, *how)

    claims._credit = twice


def guest_unpaid(mine: Mine) -> None:
    """A guest's points are claimed, and not credited."""
    from bridge.settlement import claims

    credit = claims._credit

    def stingy(connection: Any, customer_id: Any, *how: Any) -> None:
        if not mine(customer_id):
            credit(connection, customer_id, *how)

    claims._credit = stingy


def guest_and_another(mine: Mine) -> None:
    """A guest's dust is given to another customer as well."""
    from bridge.settlement import claims

    credit = claims._credit

    def scattering(connection: Any, customer_id: Any, *how: Any) -> None:
        credit(connection, customer_id, *how)
        if mine(customer_id):
            credit(connection, f"{customer_id}-too", *how)

    claims._credit = scattering


def guest_waits_on(mine: Mine) -> None:
    """A claim does not change the escrow's state."""
    from bridge.settlement.escrow import Escrow

    claimed = Escrow.claimed_by

    def forgetful(self: Any, customer_id: Any, *how: Any, **more: Any) -> Any:
        return self if mine(customer_id) else claimed(self, customer_id, *how, **more)

    Escrow.claimed_by = forgetful  # type: ignore[method-assign]


def expires_twice(mine: Mine) -> None:
    """Expiry takes the points twice."""
    from bridge.ledger.account import Account

    expire = Account.expire_due

    def twice(self: Any, *, now: Any) -> None:
        before = len(self.postings)
        expire(self, now=now)
        for gone in self.postings[before:] if mine(self.customer_id) else ():
            self.overdraw(-gone.amount, gone.details, now=now)

    Account.expire_due = twice  # type: ignore[method-assign]


def never_expires(mine: Mine) -> None:
    """Points never expire."""
    from bridge.ledger.account import Account

    expire = Account.expire_due
    Account.expire_due = (  # type: ignore[method-assign]
        lambda self, *, now: None if mine(self.customer_id) else expire(self, now=now)
    )


def never_matures(mine: Mine) -> None:
    """Pending points never mature."""
    from bridge.ledger.account import Account

    mature = Account.mature_due
    Account.mature_due = (  # type: ignore[method-assign]
        lambda self, *, now: None if mine(self.customer_id) else mature(self, now=now)
    )


def price_unheard(mine: Mine) -> None:
    """A price counts as copied although Medusa is away."""
    from bridge.errors import Unavailable
    from bridge.medusa.client import Medusa

    set_metadata = Medusa.set_product_metadata

    def hopeful(self: Any, product_id: Any, metadata: Any) -> None:
        try:
            set_metadata(self, product_id, metadata)
        except Unavailable:
            if not mine(product_id):
                raise

    Medusa.set_product_metadata = hopeful  # type: ignore[method-assign]


def two_welcomes(mine: Mine) -> None:
    """The sign-up bonus is credited without a check for an earlier one."""
    from bridge.settlement import signup_bonus

    known, details = signup_bonus.customers_with_signup_bonus, signup_bonus.PostingDetails

    def keyless(**how: Any) -> Any:
        return details(**{**how, "idempotency_key": None} if mine(how["reference_id"]) else how)

    signup_bonus.customers_with_signup_bonus = lambda connection, ids: known(
        connection, [i for i in ids if not mine(i)]
    )
    signup_bonus.PostingDetails = keyless


def overdraws(mine: Mine) -> None:
    """A debit is posted without a check of the available points."""
    from bridge.ledger.account import Account

    adjust = Account.adjust

    def bold(self: Any, amount: int, details: Any, *, now: Any) -> None:
        if amount < 0 and mine(self.customer_id):
            self.overdraw(-amount, details, now=now)
        else:
            adjust(self, amount, details, now=now)

    Account.adjust = bold  # type: ignore[method-assign]


def balance_drifts(mine: Mine) -> None:
    """Debits are in the ledger and do not change the balance."""
    from bridge.ledger import store

    update = store._update_balances

    def adding(connection: Any, accounts: Any) -> None:
        for account in accounts:
            if mine(account.customer_id):
                account.balance -= sum(posting.amount for posting in account.postings if posting.amount < 0)
        update(connection, accounts)

    store._update_balances = adding


def gives_up(mine: Mine) -> None:
    """An event that should wait for Medusa fails at once."""
    from bridge.inbox import process_one

    reschedule = process_one._store_retry

    def impatient(row: Any, error: Any) -> Any:
        return process_one._store_failure(row, error.code, error.message) if mine(row.id) else reschedule(row, error)

    process_one._store_retry = impatient


def event_copied(mine: Mine) -> None:
    """An event is kept a second time under an id of its own."""
    from bridge.webhooks import endpoint

    keep = endpoint._store_event

    async def copying(arrival: Any) -> Any:
        if mine(arrival.event_id):
            await keep(dataclasses.replace(arrival, event_id=f"{arrival.event_id}-copy"))
        return await keep(arrival)

    endpoint._store_event = copying


def order_copied(mine: Mine) -> None:
    """An order is settled a second time under an id of its own."""
    from bridge.inbox import process_batch, process_one

    settle = process_batch.settle_orders

    def copying(connection: Any, orders: Any, **more: Any) -> Any:
        orders = list(orders)
        copies = [dataclasses.replace(order, id=f"{order.id}-copy") for order in orders if mine(order.id)]
        return settle(connection, [*orders, *copies], **more)

    process_batch.settle_orders = process_one.settle_orders = copying


def takes_all(mine: Mine) -> None:
    """An order that uses part of a code pays all of its points."""
    from bridge.redemptions import capture

    used = capture.used_dust

    def greedy(redemption: Any, code: Any, *how: Any, **more: Any) -> Any:
        return code.dust if mine(redemption.customer_id) else used(redemption, code, *how, **more)

    capture.used_dust = greedy


def code_made_anew(mine: Mine) -> None:
    """A code that is there already, as the reply to its making was lost, is deleted and made again."""
    from bridge.redemptions import medusa_sync

    make = medusa_sync._create_or_adopt

    def tidy(redemption: Any, code: Any, body: Any, medusa: Any) -> Any:
        if mine(redemption.customer_id) and (old := medusa.promotions_by_code([code]).get(code)):
            medusa.delete_promotion(old.id)
        return make(redemption, code, body, medusa)

    medusa_sync._create_or_adopt = tidy


def spare_code(mine: Mine) -> None:
    """When the reply to the making of a code is lost, another code is made too."""
    from bridge.errors import Unavailable
    from bridge.medusa.client import Medusa

    create = Medusa.create_promotion

    def careful(self: Any, body: Any) -> Any:
        try:
            return create(self, body)
        except Unavailable:
            if mine(body["rules"][0]["values"][0]):
                create(self, {**body, "code": f"{body['code']}-2"})
            raise

    Medusa.create_promotion = careful  # type: ignore[method-assign]


def left_in_carts(mine: Mine) -> None:
    """A code is deleted, and its discount stays in the carts."""
    from bridge.redemptions import medusa_sync

    before, after = medusa_sync.remove_codes, medusa_sync.remove_codes_again

    def unless_mine(take_out: Callable[..., None]) -> Callable[..., None]:
        return lambda redemption, *how: None if mine(redemption.customer_id) else take_out(redemption, *how)

    medusa_sync.remove_codes, medusa_sync.remove_codes_again = unless_mine(before), unless_mine(after)


# fmt: off
BUGS = (
    silent, silent_end, sent_twice, warned_twice, refusal_is_delivery, new_name_each_time, merge_loses,
    merge_doubles, guest_paid_twice, guest_unpaid, guest_and_another, guest_waits_on, expires_twice,
    never_expires, never_matures, price_unheard, two_welcomes, overdraws, balance_drifts, gives_up,
    event_copied, order_copied, takes_all, code_made_anew, spare_code, left_in_carts,
)
# fmt: on


def plant_all() -> None:
    """Every bug of this page: `guest_unpaid` affects ids that contain `_guest-unpaid_`."""
    for bug in BUGS:
        bug(_carrying(bug.__name__.replace("_", "-")))


def _carrying(name: str) -> Mine:
    return lambda subject: f"_{name}_" in str(subject)
