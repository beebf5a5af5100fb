"""Members and their accounts as in `any_members.py`, with points that expire.

No points are created from nothing, and expired points are not taken twice: debts are at most what orders have used.
"""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from bridge.clock import now
from bridge.db import transaction
from bridge.ledger.mature_and_expire import post_due_lots
from tests.support.any_members import NET_OF_REFERRALS, RATE, AnyMembers
from tests.support.settling import set_rules

lives = st.sampled_from([None, 5, 5, 9])


class ExpiringMembers(AnyMembers):
    def __init__(self) -> None:
        super().__init__()

    @initialize(within=st.booleans(), unpaid=st.booleans(), days=st.sampled_from([0, 0, 3]), life=lives)
    def open_the_shop(self, within: bool, unpaid: bool, days: int, life: int | None) -> None:
        self.change_the_rules(within, unpaid, days, life)

    @rule(within=st.booleans(), unpaid=st.booleans(), days=st.sampled_from([0, 0, 3]), life=lives)
    def change_the_rules(self, within: bool, unpaid: bool, days: int, life: int | None) -> None:
        set_rules(
            earn={"pending_until_paid": unpaid, "pending_days": days, "expires_after_days": life},
            redeem={"rates": {"eur": str(RATE)}, "code_ttl_minutes": 100_000},
            reversal={"negative_balance": "within_balance" if within else "allow"},
            bonuses={"referral": {"referrer": 20, "referred": 5, "min_earned": 2}},
            guests={"escrow_days": 3650},
        )

    @rule(days=st.sampled_from([1, 4, 8]))
    def time_passes(self, days: int) -> None:
        self._pass(timedelta(days=days))

    @rule()
    def sweep(self) -> None:
        with transaction() as connection:
            post_due_lots(connection, now=now(), customers=100)

    @invariant()
    def points_exist_once(self) -> None:
        figures, spent = self._figures(), self._spent()
        there = sum(balance + pending - waived for _, balance, pending, waived in figures.values())
        escrowed = self._read("SELECT sum(dust) FROM guest_escrow")
        expired = self._read("SELECT -sum(amount) FROM dust_transaction WHERE kind = 'expire'")
        counted = self._read(
            "SELECT sum(expired) FROM (SELECT expired FROM order_settlement"
            " UNION ALL SELECT expired FROM order_former_owner"
            " UNION ALL SELECT referrer_expired + referred_expired FROM referral"
            " UNION ALL SELECT expired FROM import_row) each"
        )
        issued = sum(bought.worth() for bought in self.bought) + self.given + sum(self.imported.values())
        issued += self._read(NET_OF_REFERRALS)
        assert expired >= counted, "expired points are counted twice"
        assert there + escrowed + sum(spent.values()) + expired - counted == issued, (
            "points came from nothing, or are lost"
        )
        if not self.debited:
            owed = sum(max(0, -balance) for _, balance, *_ in figures.values())
            assert owed <= sum(max(0, points) for points in spent.values()), "a customer owes what is not spent"
