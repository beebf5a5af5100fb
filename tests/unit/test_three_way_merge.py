"""The changes of a draft are merged with concurrent changes, field by field."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.programme.three_way_merge import merge

BASE: dict[str, Any] = {
    "earn": {"rates": {"eur": "1"}, "pending_days": 0, "excluded_product_ids": ["prod_1"], "multipliers": []},
    "redeem": {"max_dust": None, "rewards": [{"id": "a", "name": "A", "dust": 5}, {"id": "b", "name": "B", "dust": 6}]},
}


def changed(**fields: Any) -> dict[str, Any]:
    """The base with other values; `earn__pending_days=3` changes `earn.pending_days`."""
    document = {part: dict(rules) for part, rules in BASE.items()}
    for field, value in fields.items():
        part, name = field.split("__")
        document[part][name] = value
    return document


def merged(mine: dict[str, Any], theirs: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    result = merge(BASE, mine, theirs)
    return result.document, result.conflicts


def test_changes_of_different_fields_are_both_kept() -> None:
    document, conflicts = merged(changed(earn__rates={"eur": "2"}), changed(earn__pending_days=3))
    assert document == changed(earn__rates={"eur": "2"}, earn__pending_days=3)
    assert conflicts == ()


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    both = changed(redeem__max_dust=100)
    assert merged(both, both) == (both, ())


def test_different_changes_of_one_field_are_named_and_mine_stays() -> None:
    document, conflicts = merged(
        changed(earn__rates={"eur": "2", "usd": "1"}, redeem__max_dust=5),
        changed(earn__rates={"eur": "3", "gbp": "1"}, redeem__max_dust=6),
    )
    assert document == changed(earn__rates={"eur": "2", "usd": "1", "gbp": "1"}, redeem__max_dust=5)
    assert conflicts == ("earn.rates.eur", "redeem.max_dust")


def test_a_key_that_was_removed_is_gone() -> None:
    assert merged(changed(earn__rates={}), BASE) == (changed(earn__rates={}), ())
    assert merged(BASE, changed(earn__rates={})) == (changed(earn__rates={}), ())


def test_a_key_that_one_removed_and_the_other_changed_is_a_conflict() -> None:
    assert merged(changed(earn__rates={}), changed(earn__rates={"eur": "3"}))[1] == ("earn.rates.eur",)
    document, conflicts = merged(changed(earn__rates={"eur": "3"}), changed(earn__rates={}))
    assert (document["earn"]["rates"], conflicts) == ({"eur": "3"}, ("earn.rates.eur",))


def test_two_campaigns_added_at_once_are_both_kept() -> None:
    mine, theirs = {"name": "Black Friday", "factor": "2"}, {"name": "Advent", "factor": "3"}
    document, conflicts = merged(changed(earn__multipliers=[mine]), changed(earn__multipliers=[theirs]))
    assert (document["earn"]["multipliers"], conflicts) == ([mine, theirs], ())


def test_entries_are_merged_by_their_id_and_not_by_their_place() -> None:
    first, second = BASE["redeem"]["rewards"]
    document, conflicts = merged(
        changed(redeem__rewards=[second]), changed(redeem__rewards=[first, second | {"dust": 7}])
    )
    assert (document["redeem"]["rewards"], conflicts) == ([second | {"dust": 7}], ())


def test_a_conflict_inside_an_entry_has_its_place_in_the_merged_list() -> None:
    first, second = BASE["redeem"]["rewards"]
    document, conflicts = merged(
        changed(redeem__rewards=[second | {"dust": 8}, first]), changed(redeem__rewards=[first, second | {"dust": 7}])
    )
    assert (document["redeem"]["rewards"], conflicts) == ([second | {"dust": 8}, first], ("redeem.rewards.0.dust",))


def test_an_entry_that_mine_removed_and_theirs_changed_is_a_conflict_of_the_list() -> None:
    first, second = BASE["redeem"]["rewards"]
    document, conflicts = merged(
        changed(redeem__rewards=[second]), changed(redeem__rewards=[first | {"dust": 9}, second])
    )
    assert (document["redeem"]["rewards"], conflicts) == ([second], ("redeem.rewards",))


def test_ids_are_merged_one_by_one() -> None:
    document, conflicts = merged(
        changed(earn__excluded_product_ids=["prod_1", "prod_2"]), changed(earn__excluded_product_ids=["prod_3"])
    )
    assert (document["earn"]["excluded_product_ids"], conflicts) == (["prod_2", "prod_3"], ())


def test_a_list_whose_entries_share_a_name_is_one_field() -> None:
    twice = [{"name": "a", "factor": "2"}, {"name": "a", "factor": "3"}]
    document, conflicts = merged(
        changed(earn__multipliers=twice), changed(earn__multipliers=[{"name": "b", "factor": "2"}])
    )
    assert (document["earn"]["multipliers"], conflicts) == (twice, ("earn.multipliers",))


_VALUES = st.one_of(st.none(), st.integers(0, 2), st.text("ab", max_size=1))
_DOCUMENTS = st.dictionaries(
    st.sampled_from("xyz"),
    st.recursive(
        _VALUES,
        lambda inner: st.one_of(
            st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
            st.lists(st.fixed_dictionaries({"id": st.sampled_from("pqr"), "v": inner}), max_size=3),
        ),
        max_leaves=6,
    ),
)


@given(base=_DOCUMENTS, other=_DOCUMENTS)
def test_a_side_without_changes_changes_nothing(base: dict[str, Any], other: dict[str, Any]) -> None:
    assert merge({"d": base}, {"d": other}, {"d": base}).document == {"d": other}
    assert merge({"d": base}, {"d": base}, {"d": other}).document == {"d": other}
    assert merge({"d": base}, {"d": other}, {"d": other}).conflicts == ()


@given(base=_DOCUMENTS, mine=_DOCUMENTS, theirs=_DOCUMENTS)
def test_conflicts_are_symmetric(base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    forwards = merge({"d": base}, {"d": mine}, {"d": theirs})
    backwards = merge({"d": base}, {"d": theirs}, {"d": mine})
    assert bool(forwards.conflicts) == bool(backwards.conflicts)
