"""Reads a scenario file, with errors that name the line. docs/how-to/test-rules.md describes the format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import yaml
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bridge.clock import read_span
from bridge.errors import InvalidInput
from bridge.ledger.postings import MAX_DUST
from bridge.programme.fields import CurrencyCode
from bridge.programme.rules import Programme
from bridge.redemptions.tables import RedemptionState


class UnreadableScenario(InvalidInput):
    """The file is not a valid scenario. The message has a line for each error, with its place in the file."""

    code = "unreadable_scenario"


def _moment(value: object) -> object:
    """Convert a YAML date to midnight UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=value.tzinfo or UTC) if isinstance(value, datetime) else value


# A name for a customer, an order or a product. It is the id in this scenario.
Name = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,100}$")]
Money = Annotated[Decimal, Field(ge=0, le=10**9, decimal_places=3)]
Units = Annotated[int, Field(strict=True, ge=1, le=10_000)]
Whole = Annotated[int, Field(strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Item(_Part):
    """`price` is for one unit, without tax."""

    product: Name
    price: Money
    quantity: Units = 1
    categories: tuple[Name, ...] = ()
    collection: Name | None = None


class PlaceOrder(_Part):
    order: Name
    customer: Name
    items: tuple[Item, ...] = Field(min_length=1)
    discount: Money = Field(default=Decimal(0), description="Of the whole order, in addition to redemptions")
    uses: tuple[Name, ...] = Field(default=(), description="Redemptions whose codes were entered")
    currency: CurrencyCode = "eur"
    paid: bool = False
    groups: tuple[Name, ...] = ()


class Pay(_Part):
    pay: Name


class Complete(_Part):
    complete: Name


class Cancel(_Part):
    cancel: Name


class Return(_Part):
    """Returned units, by product."""

    return_: Name = Field(alias="return")
    items: dict[Name, Units] = Field(min_length=1)


class Refund(_Part):
    """A refund without a return."""

    refund: Name
    amount: Annotated[Money, Field(gt=0)]


class Redeem(_Part):
    """Either `dust` for a discount, or `items` to pay with points. `fails` is the code of an expected error."""

    redeem: Name
    customer: Name
    dust: Annotated[int, Field(strict=True, ge=1, le=MAX_DUST)] | None = None
    items: dict[Name, Units] | None = None
    currency: CurrencyCode = "eur"
    fails: str | None = None


class Release(_Part):
    release: Name
    fails: str | None = None


class Adjust(_Part):
    adjust: Name
    dust: Whole
    reason: str = "A correction"
    fails: str | None = None


class Join(_Part):
    """A customer signs up."""

    join: Name


class Price(_Part):
    """A product's price in points."""

    price: Name
    dust: Annotated[int, Field(strict=True, ge=1, le=MAX_DUST)]
    dust_only: bool = False


class Wait(_Part):
    wait: Annotated[timedelta, BeforeValidator(read_span)]


class ChangeRules(_Part):
    """The whole programme, as in PUT /admin/dust/programme."""

    rules: Programme


class Expect(_Part):
    """Only the given fields are compared. `expiring` is by day (UTC)."""

    expect: Name
    balance: Whole | None = None
    available: Whole | None = None
    held: Whole | None = None
    pending: Whole | None = None
    expiring: dict[date, int] | None = None


class ExpectRedemption(_Part):
    expect_redemption: Name
    state: RedemptionState | None = None
    dust: Whole | None = None
    dust_captured: Whole | None = None


Action = (
    PlaceOrder | Pay | Complete | Cancel | Return | Refund | Redeem | Release | Adjust | Join | Price | Wait
    | ChangeRules | Expect | ExpectRedemption
)  # fmt: skip
_ACTIONS: Mapping[str, type[Action]] = {
    "order": PlaceOrder, "pay": Pay, "complete": Complete, "cancel": Cancel, "return": Return, "refund": Refund,
    "redeem": Redeem, "release": Release, "adjust": Adjust, "join": Join, "price": Price, "wait": Wait,
    "rules": ChangeRules, "expect": Expect, "expect_redemption": ExpectRedemption,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Step:
    """`line` is its line in the file, from 1."""

    line: int
    action: Action


@dataclass(frozen=True, kw_only=True)
class Scenario:
    name: str
    starts: datetime
    rules: Programme
    steps: tuple[Step, ...]


class _Document(_Part):
    name: str
    story: str = ""
    starts: Annotated[AwareDatetime, BeforeValidator(_moment)] = datetime(2027, 1, 1, 12, tzinfo=UTC)
    rules: Programme = Programme()
    steps: list[Any] = Field(min_length=1)


_Path = tuple[int | str, ...]


def read_scenario(text: str, file: str) -> Scenario:
    """Read a scenario. Raises `UnreadableScenario` with all errors, each as `file:line: field: message`."""
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        problems = [f"{file}:{line}: {key} is there twice" for line, key in _doubled(node)]
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UnreadableScenario(f"{file}:{line}: this is not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnreadableScenario(f"{file}: this is not valid YAML: {error}") from error
    lines = dict(_lines(node, ()))

    def add_problems(error: ValidationError, path: _Path) -> None:
        for detail in error.errors():
            where = path + tuple(detail["loc"])
            words = detail["msg"].removeprefix("Value error, ")
            problems.append(f"{file}:{_line(lines, where)}: {'.'.join(map(str, where)) or 'the file'}: {words}")

    steps: list[Step] = []
    try:
        parsed = _Document.model_validate(document)
    except ValidationError as error:
        add_problems(error, ())
        raise UnreadableScenario("\n".join(problems)) from error
    for number, raw in enumerate(parsed.steps):
        path: _Path = ("steps", number)
        verb = next((verb for verb in _ACTIONS if isinstance(raw, dict) and verb in raw), None)
        if verb is None:
            problems.append(f"{file}:{_line(lines, path)}: a step says one of: {', '.join(_ACTIONS)}")
            continue
        try:
            steps.append(Step(line=_line(lines, path), action=_ACTIONS[verb].model_validate(raw)))
        except ValidationError as error:
            add_problems(error, path)
    if problems:
        raise UnreadableScenario("\n".join(problems))
    return Scenario(name=parsed.name, starts=parsed.starts, rules=parsed.rules, steps=tuple(steps))


def _lines(node: yaml.Node | None, path: _Path) -> Iterator[tuple[_Path, int]]:
    """The line of each value by its path; for values of a mapping, the line of the key."""
    if node is not None and path:
        yield path, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _lines(item, (*path, number))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value)
            yield from _lines(value, (*path, name))
            yield (*path, name), key.start_mark.line + 1


def _line(lines: Mapping[_Path, int], path: _Path) -> int:
    """The line of the value, or of the nearest enclosing value in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _doubled(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Duplicate keys of a mapping. YAML would silently use the last."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _doubled(item)
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            # Other keys (a list, for example) are reported later, because they are not a field.
            name = str(key.value)
            if name in seen:
                yield key.start_mark.line + 1, name
            seen.add(name)
            yield from _doubled(value)
