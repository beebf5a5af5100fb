"""Explain the points of an order by the rules that give them. Pure arithmetic.

Example: two shirts for 20.00 at 1 point per eur, in a week with factor 2, for a customer in a tier with factor
1.5, earn 60 points: 20 by the rate, 20 by the week's multiplier, 20 by the tier.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from bridge.ledger.postings import MAX_DUST
from bridge.programme.earning import SHIPPING, Earning, LineTerms
from bridge.programme.fields import MILLIONTH

RATE, FIXED, LIMIT = "rate", "fixed points", "limit"


@dataclass(frozen=True, kw_only=True)
class RulePart:
    """The whole points that one rule gives; negative for a limit. The parts of an earning add up to its points."""

    rule: str
    dust: int


def break_down(
    earned: Earning, terms: Mapping[str, LineTerms], *, tier: Mapping[str, str] | None = None, dust: int | None = None
) -> tuple[RulePart, ...]:
    """Split what an order earns by the rules.

    `terms` are the lines' terms by id. `tier` is the customer's tier, as `name` and `factor`. `dust` is what remains
    under limits, if that is less than the order earns by its lines.
    """
    exact: dict[str, Decimal] = {}
    for line_id, share in earned.lines.items():
        line = terms.get(line_id, LineTerms())
        factor = Decimal(tier["factor"]) if tier else Decimal(1)
        if not line.factor or not factor:
            continue
        before_tier = share / factor
        base = before_tier / line.factor
        _add(exact, _base_rule(line_id, line), base)
        _add(exact, " × ".join(line.multipliers), before_tier - base)
        _add(exact, tier["name"] if tier else "", share - before_tier)
    parts = _whole(exact)
    total = earned.dust if dust is None else dust
    difference = total - sum(part.dust for part in parts)
    if parts and difference > 0:
        # The rounding of the order's points.
        parts[-1] = RulePart(rule=parts[-1].rule, dust=parts[-1].dust + difference)
    elif difference < 0:
        parts.append(RulePart(rule=LIMIT, dust=difference))
    return tuple(part for part in parts if part.dust)


def _base_rule(line_id: str, line: LineTerms) -> str:
    if line_id == SHIPPING:
        return SHIPPING
    return RATE if line.fixed is None else FIXED


def _add(exact: dict[str, Decimal], rule: str, amount: Decimal) -> None:
    if amount:
        exact[rule] = exact.get(rule, Decimal(0)) + amount


def _whole(exact: Mapping[str, Decimal]) -> list[RulePart]:
    """Round the running sum down after each part, so that the parts add up."""
    parts, running, rounded = [], Decimal(0), 0
    for rule, amount in exact.items():
        running += amount
        next_rounded = int(min(running, Decimal(MAX_DUST)).quantize(MILLIONTH).to_integral_value(ROUND_FLOOR))
        parts.append(RulePart(rule=rule, dust=next_rounded - rounded))
        rounded = next_rounded
    return parts
