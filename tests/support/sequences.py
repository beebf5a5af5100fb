"""How many random sequences are played: a few in `make test-system`, thousands when `SEQUENCES` says so.

They are played in pieces of `PIECE`, each a test with a database of its own, so that several run beside each other and
no database grows old: SEQUENCES=4000 make test-system ARGS="-k any_"
"""

import os
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from bridge.db import metadata

PIECE = 50
_STEPS = 30
# What Medusa's currencies are: it stays the same.
_KEPT_TABLES = {"currency"}
_wanted = int(os.environ.get("SEQUENCES", "0"))

# Hypothesis takes up to five minutes to shrink a sequence that fails. A timeout during that time hides the failure:
# Hypothesis then reports inconsistent data instead.
_TIMEOUT_SECONDS = 900


def pieces(test: Any) -> Any:
    """A test that plays sequences: once for each piece."""
    numbers = pytest.mark.parametrize("piece", range(max(1, -(-_wanted // PIECE))))
    return numbers(pytest.mark.timeout(_TIMEOUT_SECONDS)(test))


def play(machine: type[RuleBasedStateMachine], *, few: int) -> None:
    """Play `few` sequences of this machine, or a piece of those that were asked for."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=PIECE if _wanted else few,
            stateful_step_count=_STEPS,
            # Not `explain`, which takes minutes.
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )


def empty_database() -> None:
    """Each sequence begins with an empty database, so it can be played again: no poll meets the orders of another one,
    which Medusa no longer has."""
    with psycopg.connect(os.environ["DUST_DATABASE_URL"]) as connection:
        # The ledger takes no deletions, and its tables refer to each other.
        connection.execute("SET session_replication_role = replica")
        for table in metadata.sorted_tables:
            if table.name not in _KEPT_TABLES:
                connection.execute(f'DELETE FROM "{table.name}"')
