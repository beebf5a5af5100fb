"""Plays a scenario in this process, on an empty database, through the endpoints that a shop uses.

Events are signed and posted, redemptions requested over the Store API and their promotions created in the shop. When
time passes, everything that becomes due is done at its time.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, assert_never

import httpx
from sqlalchemy import text

from bridge.app import create_app
from bridge.clock import moved, now, real_now
from bridge.db import transaction
from bridge.development.scenarios import document
from bridge.development.scenarios.shop import Shop, ShopOrder
from bridge.errors import DustError
from bridge.http.standard_webhooks import signed_event
from bridge.ids import CustomerId, new_id
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import process_event
from bridge.inbox.reconcile import store_orders
from bridge.ledger.mature_and_expire import post_due_lots
from bridge.ledger.queries import Balance, read_balance
from bridge.medusa.client import get_medusa
from bridge.operations.audit import audit
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.repository import Redemption, due_redemptions, read_redemption
from bridge.settings import get_settings

_AT_ONCE = 500
# A step needs two or three rounds. More would be an endless loop.
_MAX_ROUNDS = 100
# The next time at which something becomes due.
_NEXT = text("""
    SELECT min(at) FROM (
        SELECT matures_at AS at FROM dust_lot WHERE remaining > 0 AND NOT matured
        UNION ALL SELECT expires_at FROM dust_lot WHERE remaining > held AND matured
        UNION ALL SELECT expires_at FROM dust_redemption WHERE state IN ('pending', 'active')
        UNION ALL SELECT next_step_at FROM dust_redemption) moments
    WHERE at > :now AND at <= :until
""")


class _StepFailed(Exception):
    """A step had another result than expected."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """`line` is the line of the step in the file."""

    line: int
    words: str


# Called after each step with its line, what happened, and the customers' balances.
Report = Callable[[int, str, list[Balance]], None]


def play(scenario: document.Scenario, shop: Shop, report: Report = lambda *_: None) -> list[Failure]:
    """Play all steps, even after a failure. Returns the failures, and breaches that the audit finds.

    The settings must name an empty database, the address that serves `shop`, and secrets.
    """
    failures: list[Failure] = []
    with ExitStack() as time:
        stage = _Stage(shop, time)
        time.enter_context(moved(scenario.starts - real_now()))
        stage.change_rules(document.ChangeRules(rules=scenario.rules))
        for step in scenario.steps:
            try:
                outcome = stage.do(step.action)
                stage.work()
            except (_StepFailed, DustError) as failed:
                outcome = f"✗ {failed}"
                failures.append(Failure(line=step.line, words=str(failed)))
            report(step.line, outcome, stage.balances())
        last = scenario.steps[-1].line
        failures += [Failure(line=last, words=f"dust audit: {breach.check}: {breach.detail}") for breach in audit()]
    return failures


class _Stage:
    def __init__(self, shop: Shop, time: ExitStack) -> None:
        self._shop = shop
        self._time = time
        self._app = create_app()
        self._customers: dict[str, None] = {}
        self._redemptions: dict[str, tuple[str, str]] = {}

    def do(self, action: document.Action) -> str:
        """Do a step. Returns a short description. Raises `_StepFailed`, `DustError`."""
        match action:
            case document.PlaceOrder():
                return self._place(action)
            case document.Pay(pay=name):
                self._change(name, "payment.captured", paid=True)
                return f"order {name} is paid"
            case document.Complete(complete=name):
                self._change(name, "order.completed", status="completed")
                return f"order {name} is completed"
            case document.Cancel(cancel=name):
                self._change(name, "order.canceled", status="canceled")
                return f"order {name} is canceled"
            case document.Return():
                return self._return_items(action)
            case document.Refund(refund=name, amount=amount):
                self._change(name, "payment.refunded", credit=self._order(name).credit + amount)
                return f"{amount} of order {name} is refunded"
            case document.Redeem():
                return self._redeem(action)
            case document.Release(release=name):
                owner, redemption = self._redemption(name)
                self._store("DELETE", f"/store/dust/redemptions/{redemption}", owner, fails=action.fails)
                return f"redemption {name} is released"
            case document.Adjust():
                self._add_customer(action.adjust)
                body = {"amount": action.dust, "reason": action.reason}
                self._admin("POST", f"customers/{action.adjust}/adjustments", body, fails=action.fails)
                return f"{action.dust:+d} points adjusted for {action.adjust}"
            case document.Join(join=name):
                self._add_customer(name)
                self._send("customer.created", {"id": name})
                return f"{name} signs up"
            case document.Price():
                body = {"dust_price": action.dust, "dust_only": action.dust_only}
                self._admin("PUT", f"products/{action.price}", body)
                return f"{action.price} costs {action.dust} points"
            case document.Wait(wait=span):
                self._wait(span)
                return f"it is {now():%d %b %Y %H:%M}"
            case document.ChangeRules():
                self.change_rules(action)
                return "the rules change"
            case document.Expect():
                self._expect(action)
                return f"{action.expect} has what is expected"
            case document.ExpectRedemption():
                self._expect_redemption(action)
                return f"redemption {action.expect_redemption} is as expected"
        assert_never(action)

    def change_rules(self, change: document.ChangeRules) -> None:
        self._admin("PUT", "programme", change.rules.document())

    def work(self) -> None:
        """Do what workers and beat would do now, until nothing is left."""
        for _ in range(_MAX_ROUNDS):
            batch = process_batch()
            for event_id in batch.split_off:
                process_event(event_id, get_medusa())
            with transaction() as connection:
                due = due_redemptions(connection, now=now(), limit=_AT_ONCE)
                post_due_lots(connection, now=now(), customers=_AT_ONCE)
            for redemption in due:
                store_orders(advance(redemption, get_medusa()).orders)
            if not batch.taken and not due:
                return
        raise _StepFailed("Dust does not finish its work.")

    def balances(self) -> list[Balance]:
        with transaction() as connection:
            return [read_balance(connection, CustomerId(customer_id)) for customer_id in self._customers]

    def _wait(self, span: timedelta) -> None:
        until = now() + span
        while (following := self._next(until)) is not None:
            self._time.enter_context(moved(following - now()))
            self.work()
        self._time.enter_context(moved(max(until - now(), timedelta())))

    def _next(self, until: datetime) -> datetime | None:
        with transaction() as connection:
            moment: datetime | None = connection.scalar(_NEXT, {"now": now(), "until": until})
            return moment

    def _place(self, step: document.PlaceOrder) -> str:
        if step.order in self._shop.orders:
            raise _StepFailed(f"There is an order {step.order} already.")
        self._add_customer(step.customer)
        used = [self._read(name) for name in step.uses]
        codes = tuple(code for redemption in used for code in redemption.codes)
        if self._shop.unusable(codes):
            raise _StepFailed(f"The shop refuses the code of a redemption: {', '.join(step.uses)} is over or was used.")
        moment = now()
        order = ShopOrder(placed=step, placed_at=moment, updated_at=moment, codes=codes, paid=step.paid)
        self._shop.orders[step.order] = order
        self._shop.use(codes)
        self._send_order(order, "order.placed")
        return f"{step.customer} orders {step.order}"

    def _return_items(self, step: document.Return) -> str:
        order = self._order(step.return_)
        returned = dict(order.returned)
        for product, units in step.items.items():
            returned[product] = returned.get(product, 0) + units
            bought = sum(item.quantity for item in order.placed.items if item.product == product)
            if returned[product] > bought:
                raise _StepFailed(f"Order {step.return_} has {bought} of {product}, not {returned[product]}.")
        self._change(step.return_, "order.return_received", returned=returned)
        return f"returned of order {step.return_}: " + ", ".join(f"{n} {name}" for name, n in step.items.items())

    def _change(self, name: str, event: str, **changes: Any) -> None:
        order = self._order(name)
        for field, value in changes.items():
            setattr(order, field, value)
        order.version, order.updated_at = order.version + 1, now()
        self._send_order(order, event)

    def _order(self, name: str) -> ShopOrder:
        if name not in self._shop.orders:
            raise _StepFailed(f"There is no order {name}.")
        return self._shop.orders[name]

    def _redeem(self, step: document.Redeem) -> str:
        self._add_customer(step.customer)
        if (step.dust is None) == (step.items is None):
            raise _StepFailed("redeem needs either dust or items.")
        if step.items is None:
            body: dict[str, Any] = {"dust": step.dust, "currency_code": step.currency}
        else:
            body = {"items": [{"product_id": product, "quantity": units} for product, units in step.items.items()]}
        answer = self._store("POST", "/store/dust/redemptions", step.customer, body, fails=step.fails)
        if answer is None:
            return f"{step.customer} may not redeem: {step.fails}"
        self._redemptions[step.redeem] = (step.customer, answer["redemption"]["id"])
        return f"{step.customer} redeems {answer['redemption']['dust']} points"

    def _redemption(self, name: str) -> tuple[str, str]:
        if name not in self._redemptions:
            raise _StepFailed(f"There is no redemption {name}.")
        return self._redemptions[name]

    def _read(self, name: str) -> Redemption:
        owner, redemption = self._redemption(name)
        with transaction() as connection:
            return read_redemption(connection, CustomerId(owner), redemption)

    def _expect(self, step: document.Expect) -> None:
        self._add_customer(step.expect)
        body = self._store("GET", "/store/dust/balance", step.expect)
        assert body is not None
        figures = {name: body[name] for name in ("balance", "available", "held", "pending")}
        wanted: dict[str, Any] = {name: getattr(step, name) for name in figures}
        if step.expiring is not None:
            wanted["expiring"] = {f"{day:%Y-%m-%d}": dust for day, dust in step.expiring.items()}
            figures["expiring"] = _by_day(body["expiring"])
        _compare(step.expect, wanted, figures)

    def _expect_redemption(self, step: document.ExpectRedemption) -> None:
        redemption = self._read(step.expect_redemption)
        names = ("state", "dust", "dust_captured")
        wanted = {name: getattr(step, name) for name in names}
        _compare(step.expect_redemption, wanted, {name: getattr(redemption, name) for name in names})

    def _add_customer(self, customer: str) -> None:
        self._customers[customer] = None

    def _send_order(self, order: ShopOrder, event: str) -> None:
        self._send(event, {"id": order.placed.order, "order_id": order.placed.order, "order": order.document()})

    def _send(self, event: str, data: dict[str, Any]) -> None:
        message = {"type": event, "timestamp": now().isoformat(), "data": data}
        headers, body = signed_event(get_settings().webhook_secrets[0], message)
        self._call("POST", "/webhooks/medusa", headers, content=body)

    def _admin(self, method: str, path: str, body: Any = None, fails: str | None = None) -> dict[str, Any] | None:
        return self._call(method, f"/admin/dust/{path}", self._login(), json=body, fails=fails)

    def _store(
        self, method: str, path: str, customer: str, body: Any = None, fails: str | None = None
    ) -> dict[str, Any] | None:
        return self._call(method, path, {**self._login(), "x-dust-customer": customer}, json=body, fails=fails)

    def _login(self) -> dict[str, str]:
        token = get_settings().admin_token
        assert token is not None
        return {"authorization": f"Bearer {token.get_secret_value()}", "idempotency-key": new_id("key")}

    def _call(
        self, method: str, path: str, headers: dict[str, str], *, fails: str | None = None, **request: Any
    ) -> dict[str, Any] | None:
        """The response; None for an error with the code `fails`. Raises `_StepFailed` for any other result."""

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://dust") as client:
                return await client.request(method, path, headers=headers, **request)

        response = asyncio.run(call())
        answer: dict[str, Any] = response.json()
        if response.is_success and fails is None:
            return answer
        if response.is_success:
            raise _StepFailed(f"It succeeded, and should have failed with {fails}.")
        if answer.get("code") == fails:
            return None
        raise _StepFailed(f"Dust refuses: {answer.get('detail')} ({answer.get('code')})")


def _by_day(expiring: list[dict[str, Any]]) -> dict[str, int]:
    days: Counter[str] = Counter()
    for lot in expiring:
        days[str(lot["expires_at"])[:10]] += lot["amount"]
    return days


def _compare(name: str, expected: dict[str, Any], actual: dict[str, Any]) -> None:
    differences = [
        f"{field} should be {value}, and is {actual[field]}"
        for field, value in expected.items()
        if value is not None and value != actual[field]
    ]
    if differences:
        raise _StepFailed(f"{name}: " + "; ".join(differences))
