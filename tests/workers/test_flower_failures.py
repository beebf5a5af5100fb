"""A retry has exactly the arguments of the failed task, or is refused."""

import json
from typing import Any

import pytest
from celery import Celery
from celery.events.state import Task as Record
from celery.utils.saferepr import saferepr
from hypothesis import example, given
from hypothesis import strategies as st

from workers.flower.failures import ArgumentsCut, recorded_failure, stored_failures

pytestmark = pytest.mark.servers

# The fields of a task in Celery's events.
RECORDED_CHARACTERS = 1024

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=30,
)


def recorded(args: list[Any], kwargs: dict[str, Any]) -> Record:
    """Flower's record of a failed task."""
    return Record(
        uuid="task",
        name="inbox.handle",
        state="FAILURE",
        args=saferepr(tuple(args), RECORDED_CHARACTERS),
        kwargs=saferepr(kwargs, RECORDED_CHARACTERS),
    )


@given(args=st.lists(values, max_size=4), kwargs=st.dictionaries(st.text(max_size=10), values, max_size=4))
@example(args=["\\n is a backslash and an n"], kwargs={})
@example(args=["x" * 2000], kwargs={})
@example(args=[{"a": {"b": {"c": {"d": {"e": 1}}}}}], kwargs={})
@example(args=[[[[[["deep"]]]]]], kwargs={})
def test_a_record_has_the_exact_arguments_or_is_refused(args: list[Any], kwargs: dict[str, Any]) -> None:
    try:
        failure = recorded_failure(recorded(args, kwargs))
    except ArgumentsCut:
        return
    assert (failure.args, failure.kwargs) == (args, kwargs)


def test_a_short_id_is_read_from_the_record() -> None:
    failure = recorded_failure(recorded(["msg_01M81CMXQW9D5T0JFF8JGQMSV8"], {}))
    assert (failure.name, failure.args, failure.kwargs) == ("inbox.handle", ["msg_01M81CMXQW9D5T0JFF8JGQMSV8"], {})


@pytest.mark.parametrize(
    "text",
    [
        "('cut...",
        "('cut...',)",
        "(...,)",
        "__import__('os').getpid()",
        "({1, 2},)",
        "(b'bytes',)",
        "('not a tuple')",
        "(",
        "(" * 5000,
    ],
)
def test_possibly_incomplete_arguments_are_refused(text: str) -> None:
    with pytest.raises(ArgumentsCut):
        recorded_failure(Record(uuid="task", name="inbox.handle", state="FAILURE", args=text, kwargs="{}"))


STORED = {
    "task_id": "whole", "status": "FAILURE", "name": "inbox.handle", "args": ["msg_1"], "kwargs": {},
    "result": {"exc_type": "EventFailed", "exc_message": ["no such order"]}, "date_done": "2026-11-20T06:00:00+00:00",
}  # fmt: skip


@pytest.mark.parametrize(
    "unreadable",
    [
        b"\xff\xfe",
        b"{",
        b"[]",
        b"{}",
        *(
            json.dumps({**STORED, "task_id": "other", name: value}).encode()
            for name, value in {"args": None, "kwargs": 1, "result": "text", "date_done": "yesterday"}.items()
        ),
    ],
)
def test_a_stored_result_that_cannot_be_read_hides_no_other(monkeypatch: pytest.MonkeyPatch, unreadable: bytes) -> None:
    app = Celery(backend="redis://127.0.0.1:1/0")
    monkeypatch.setattr(app.backend, "mget", lambda _: [unreadable, json.dumps(STORED).encode(), None])
    failures = stored_failures(app, ["other", "whole", "gone"])
    assert list(failures) == ["whole"]
    assert failures["whole"].reason == "no such order"
