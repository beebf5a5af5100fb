"""The check of locks recognises statements that lock rows, and violations of the order."""

import pytest

from tests.support.locks import lock


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT webhook_event.id \nFROM webhook_event \nWHERE webhook_event.id = %(id)s FOR UPDATE",
        "UPDATE webhook_event SET state='handled' FROM unnest(%s) AS new(id) WHERE webhook_event.id = new.id",
        "DELETE FROM webhook_event WHERE webhook_event.id = ANY (%(ids)s)",
        "INSERT INTO webhook_event (id) VALUES (%(id)s) ON CONFLICT (id) DO UPDATE SET state = excluded.state",
        "LOCK TABLE webhook_event IN EXCLUSIVE MODE",
        "WITH old AS MATERIALIZED (SELECT 1) UPDATE webhook_event SET state='handled'",
    ],
)
def test_waiting_for_an_earlier_table_is_a_violation(statement: str) -> None:
    held: list[str] = []
    assert lock(held, statement) is None
    assert held == ["webhook_event"]
    assert lock(["dust_balance"], statement) == "webhook_event is waited for while dust_balance is held"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT webhook_event.id \nFROM webhook_event \nWHERE webhook_event.id = %(id)s",
        "SELECT webhook_event.id \nFROM webhook_event \nLIMIT 5 FOR UPDATE SKIP LOCKED",
        "INSERT INTO webhook_event (id) VALUES (%(id)s) ON CONFLICT DO NOTHING",
        "UPDATE dust_lot SET remaining = 0",
        "UPDATE dust_balance SET balance = 0",
        "BEGIN",
    ],
)
def test_a_lock_that_does_not_wait_is_allowed_at_any_time(statement: str) -> None:
    assert lock(["dust_balance"], statement) is None


def test_what_was_locked_after_a_savepoint_is_free_when_it_is_gone_back_to() -> None:
    held: list[str] = []
    for statement in ("UPDATE order_settlement", "SAVEPOINT one", "UPDATE dust_balance", "ROLLBACK TO SAVEPOINT one"):
        assert lock(held, statement) is None
    assert lock(held, "UPDATE guest_escrow") is None
    assert (
        lock(held, "UPDATE webhook_event") == "webhook_event is waited for while order_settlement, guest_escrow is held"
    )


def test_a_table_without_a_place_in_the_lock_order_is_reported() -> None:
    assert lock(["dust_balance"], "UPDATE new_table SET x = 1") == (
        "new_table has no place yet in the order of locks (tests.support.locks)"
    )
