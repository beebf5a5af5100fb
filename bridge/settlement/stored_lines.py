"""What an order's row stores of its lines at their first settlement: the JSON in `order_settlement.lines`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from bridge.programme.earning import LineTerms
from bridge.redemptions.capture import FirstUse, FirstUses


@dataclass(frozen=True, kw_only=True)
class StoredLine:
    """One line of an order."""

    dust_only: bool
    """Whether only points buy its product; such a line never earns."""
    terms: LineTerms
    """The rules' terms for it. Later changes of the product or of the customer's groups do not affect them."""
    final: bool = False
    """Whether Medusa's own answer has decided the terms, so that they never change again."""
    points: Decimal = Decimal(0)
    """What it earns now, before rounding."""
    uses: Mapping[str, FirstUse] = field(default_factory=dict)
    """By code: what it took off the line as the order was placed."""

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "StoredLine":
        return cls(
            dust_only=stored["dust_only"],
            terms=LineTerms(
                factor=Decimal(stored["factor"]),
                multipliers=tuple(stored.get("multipliers", ())),
                fixed=stored.get("fixed"),
                excluded=stored.get("excluded", False),
            ),
            final=stored.get("final", False),
            points=Decimal(stored["points"]),
            uses={code: _use_from_json(use) for code, use in stored.get("codes", {}).items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the line as JSON, without what an ordinary line does not have."""
        terms = self.terms
        line: dict[str, Any] = {"dust_only": self.dust_only, "points": str(self.points), "factor": f"{terms.factor:f}"}
        if terms.multipliers:
            line["multipliers"] = list(terms.multipliers)
        if terms.fixed is not None:
            line["fixed"] = terms.fixed
        if terms.excluded:
            line["excluded"] = True
        if self.final:
            line["final"] = True
        if self.uses:
            line["codes"] = {code: _use_to_json(use) for code, use in self.uses.items()}
        return line


def _use_from_json(stored: Mapping[str, Any]) -> FirstUse:
    amounts = {name: Decimal(value) for name, value in stored.items() if name != "version"}
    return FirstUse(**amounts, version=stored.get("version", 1))


def _use_to_json(use: FirstUse) -> dict[str, Any]:
    amounts = {"ordered": f"{use.ordered:f}", "amount": f"{use.amount:f}", "units": f"{use.units:f}"}
    return amounts | ({"version": use.version} if use.version > 1 else {})


def read_lines(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, StoredLine]:
    """Return the lines of an order's row, by line id."""
    return {line_id: StoredLine.from_json(line) for line_id, line in stored.items()}


def uses_by_code(lines: Mapping[str, StoredLine]) -> FirstUses:
    """Return what each code took off the order's lines as it was placed, by code and line id."""
    uses: dict[str, dict[str, FirstUse]] = {}
    for line_id, line in lines.items():
        for code, use in line.uses.items():
            uses.setdefault(code, {})[line_id] = use
    return uses
