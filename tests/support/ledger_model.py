"""A model of the ledger in which each point is a coin: an object of its own, without rows, versions or sums.

A coin keeps its source and its two dates. Only its place changes. So no date can change, no point can appear or vanish,
and the coins can be counted.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from itertools import count

_NEVER = datetime.max.replace(tzinfo=UTC)
_numbers = count()


class Place(Enum):
    """Where a coin is: not spendable yet, free, held for a redemption, spent by one, taken back for an order,
    expired, or gone for another reason (it paid a debt)."""

    PENDING = "pending"
    FREE = "free"
    HELD = "held"
    SPENT = "spent"
    TAKEN = "taken"
    EXPIRED = "expired"
    GONE = "gone"


@dataclass(kw_only=True, eq=False)
class Coin:
    source: str
    matures_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
    """It stays the same when the coin goes to another customer."""
    number: int
    """Numbers coins with the same time, in their sequence."""
    place: Place
    redemption: str | None = None
    """The redemption that it is held for or was spent by; for a coin that was taken back, the order."""

    @property
    def soonest_first(self) -> tuple[datetime, datetime, int]:
        return self.expires_at or _NEVER, self.created_at, self.number


@dataclass(kw_only=True)
class AccountModel:
    """One customer's coins. `debt` is what they owe: no coin is free while there is any."""

    coins: list[Coin] = field(default_factory=list)
    debt: int = 0
    waived: int = 0
    """Points that returns did not get under `within_balance`. Refunds of a redemption pay for them."""
    spent: Counter[str] = field(default_factory=Counter)
    """What redemptions have spent and not given back."""
    overspent: Counter[str] = field(default_factory=Counter)
    """Points that they spent below zero: these are never waived."""
    moved: Counter[str] = field(default_factory=Counter)
    """Points by what happened to them, in total."""

    def at(self, place: Place, redemption: str | None = None) -> list[Coin]:
        """The coins there, those that expire soonest first, of those the ones that came first."""
        coins = [coin for coin in self.coins if coin.place is place and coin.redemption == redemption]
        return sorted(coins, key=lambda coin: coin.soonest_first)

    @property
    def held(self) -> int:
        return sum(coin.place is Place.HELD for coin in self.coins)

    @property
    def pending(self) -> int:
        return len(self.at(Place.PENDING))

    @property
    def available(self) -> int:
        return len(self.at(Place.FREE)) - self.debt

    @property
    def balance(self) -> int:
        return self.available + self.held

    def lots(self) -> dict[tuple[str, datetime | None, datetime | None], tuple[int, int]]:
        """What is left, and how much of it is held, of coins with one source and the same dates."""
        left: Counter[tuple[str, datetime | None, datetime | None]] = Counter()
        held: Counter[tuple[str, datetime | None, datetime | None]] = Counter()
        for coin in self.coins:
            key = coin.source, coin.matures_at, coin.expires_at
            left[key] += coin.place in {Place.PENDING, Place.FREE, Place.HELD}
            held[key] += coin.place is Place.HELD
        return {key: (left[key], held[key]) for key in left if left[key]}

    def earn(
        self,
        source: str,
        amount: int,
        *,
        now: datetime,
        matures_at: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        self.due(now)
        waits = matures_at is not None and matures_at > now
        self.coins += [
            Coin(
                source=source,
                matures_at=matures_at,
                expires_at=expires_at,
                created_at=now,
                number=next(_numbers),
                place=Place.PENDING if waits else Place.FREE,
            )
            for _ in range(amount)
        ]
        self.moved["earned"] += 0 if waits else amount
        self._pay_debt()

    def reverse(self, source: str, amount: int, *, now: datetime, within_balance: bool) -> int:
        """A return: the order's own coins first, pending before free, then whichever are free; how many it got.

        Held coins count as there: what they keep from it becomes debt.
        """
        self.due(now)
        waiting = [coin for coin in self.at(Place.PENDING) if coin.source == source][:amount]
        wanted = amount - len(waiting)
        if within_balance:
            there = self._takes(wanted)
            self.waived += wanted - there
            wanted = there
        free = sorted(self.at(Place.FREE), key=lambda coin: (coin.source != source, coin.soonest_first))[:wanted]
        _put([*waiting, *free], Place.TAKEN, source)
        self.debt += wanted - len(free)
        self.moved["reversed"] += wanted
        return len(waiting) + wanted

    def _takes(self, wanted: int) -> int:
        """How much `within_balance` takes: what is there, and what the customer owed once, so that a debt is never paid
        by an order that is canceled. The rest was there when it was spent."""
        there = min(wanted, max(0, self.balance))
        overspent = sum(min(dust, self.spent[redemption]) for redemption, dust in self.overspent.items())
        forgivable = max(0, self.spent.total() - overspent - self.waived)
        paid_since = max(0, overspent - max(0, -self.balance))
        return there + max(0, min(wanted - there - forgivable, paid_since))

    def _note_spent(self, redemption: str, amount: int) -> None:
        self.spent[redemption] += amount
        self.overspent[redemption] += min(amount, max(0, -self.balance))

    def restore(
        self,
        source: str,
        amount: int,
        *,
        now: datetime,
        matures_at: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        """A return is undone: the coins that it took come back, the order's own last. What was no coin pays debt; what
        is left of that is new."""
        self.due(now)
        taken = sorted(self.at(Place.TAKEN, source), key=lambda coin: (coin.source != source, coin.soonest_first))
        coins = taken[::-1][:amount]
        for coin in coins:
            _put([coin], Place.PENDING if coin.matures_at and coin.matures_at > now else Place.FREE)
            self.moved["earned"] += coin.place is Place.FREE
        paid = min(amount - len(coins), self.debt)
        self.debt -= paid
        self.moved["earned"] += paid
        if fresh := amount - len(coins) - paid:
            self.earn(source, fresh, now=now, matures_at=matures_at, expires_at=expires_at)
        self._pay_debt()

    def give(self, source: str, amount: int, to: "AccountModel", *, now: datetime) -> int:
        """An order goes to another customer: its coins go with it, as far as they are here and free, then other free
        coins, which are the order's from then on; how many."""
        self.due(now)
        waiting = [coin for coin in self.at(Place.PENDING) if coin.source == source]
        free = sorted(self.at(Place.FREE), key=lambda coin: (coin.source != source, coin.soonest_first))
        coins = [*waiting, *free][:amount]
        if coins:
            to.due(now)
        for coin in coins:
            self.coins.remove(coin)
            coin.source = source
            # It comes in anew there.
            coin.number = next(_numbers)
            self.moved["transferred"] -= coin.place is Place.FREE
            to.moved["transferred"] += coin.place is Place.FREE
        to.coins += coins
        to._pay_debt()
        return len(coins)

    def expired_of(self, source: str, now: datetime) -> int:
        self.due(now)
        return sum(coin.place is Place.EXPIRED and coin.source == source for coin in self.coins)

    def free_for(self, source: str) -> int:
        """How many points a return of this order could take without a debt."""
        return sum(coin.source == source for coin in self.at(Place.PENDING)) + max(0, self.available)

    def due(self, now: datetime) -> None:
        """Time passes up to now: at each moment coins mature, and then coins expire."""
        moments = {moment for coin in self.coins for moment in (coin.matures_at, coin.expires_at) if moment}
        for moment in sorted(moments):
            if moment <= now:
                self.mature(moment)
                self.expire(moment)

    def mature(self, now: datetime) -> None:
        for coin in sorted(self.at(Place.PENDING), key=lambda coin: (coin.matures_at or now, coin.soonest_first)):
            if coin.matures_at and coin.matures_at <= now:
                _put([coin], Place.FREE)
                self.moved["earned"] += 1
                self._pay_debt()

    def expire(self, now: datetime) -> None:
        over = [coin for coin in self.at(Place.FREE) if coin.expires_at and coin.expires_at <= now]
        _put(over, Place.EXPIRED)
        self.moved["expired"] += len(over)

    def hold(self, redemption: str, amount: int, *, now: datetime) -> None:
        self.due(now)
        _put(self.at(Place.FREE)[:amount], Place.HELD, redemption)

    def release(self, redemption: str, *, now: datetime) -> None:
        self.due(now)
        _put(self.at(Place.HELD, redemption), Place.FREE)
        self._pay_debt(spent_by=redemption)

    def redeem(self, redemption: str, amount: int, *, now: datetime) -> None:
        """An order used this part of the held coins; the rest is free again."""
        self.due(now)
        _put(self.at(Place.HELD, redemption)[:amount], Place.SPENT, redemption)
        self.moved["spent"] += amount
        self._note_spent(redemption, amount)
        self.release(redemption, now=now)

    def overdraw(self, redemption: str, amount: int, *, now: datetime) -> None:
        """An order used points without a hold."""
        self.due(now)
        coins = self.at(Place.FREE)[:amount]
        _put(coins, Place.SPENT, redemption)
        self.debt += amount - len(coins)
        self.moved["spent"] += amount
        self._note_spent(redemption, amount)

    def refund(self, redemption: str, amount: int, *, now: datetime) -> None:
        """The spent coins come back, those that expire last first. Points spent below zero pay debt."""
        self.due(now)
        coins = self.at(Place.SPENT, redemption)[::-1][:amount]
        _put(coins, Place.FREE)
        self.moved["returned"] += amount
        overspent = amount - len(coins)
        paid = min(overspent, self.debt)
        self.debt -= paid
        if overspent > paid:
            self.earn(redemption, overspent - paid, now=now)
            self.moved["earned"] -= overspent - paid
        self._pay_debt(spent_by=redemption)
        self.spent[redemption] -= amount
        due = min(amount, self.waived)
        self.waived -= due
        late = self._takes(due)
        self.waived += due - late
        free = self.at(Place.FREE)[:late]
        _put(free, Place.GONE)
        self.debt += late - len(free)
        self.moved["reversed"] += late

    def forgive(self, source: str, amount: int, *, now: datetime, expires_at: datetime | None = None) -> None:
        """Points that a return had waived are the customer's again. Those that a refund has paid are credited again."""
        kept = min(amount, self.waived)
        self.waived -= kept
        if amount > kept:
            self.earn(source, amount - kept, now=now, expires_at=expires_at)
            self.moved["earned"] -= amount - kept
            self.moved["reversed"] -= amount - kept

    def _pay_debt(self, spent_by: str | None = None) -> None:
        """What comes out of a redemption and pays a debt at once counts as spent by it: the debt is there because the
        redemption had those coins when they were wanted."""
        coins = self.at(Place.FREE)[: self.debt]
        _put(coins, Place.SPENT if spent_by else Place.GONE, spent_by)
        self.debt -= len(coins)


def _put(coins: Iterable[Coin], place: Place, redemption: str | None = None) -> None:
    for coin in coins:
        coin.place, coin.redemption = place, redemption
