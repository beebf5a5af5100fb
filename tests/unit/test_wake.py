"""What hints are sent with."""

from typing import Any

import pytest

from bridge import wake


def test_an_offer_that_is_made_again_and_again_ends_by_itself_and_a_drain_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = {}

    class Publisher:
        def send_task(self, name: str, *, expires: float | None, **_: Any) -> None:
            ends[name] = expires

    monkeypatch.setattr(wake, "_publisher", Publisher)
    assert wake.publish(wake.REDEMPTIONS_ADVANCE, "dred_1")
    assert wake.publish(wake.INBOX_DRAIN)
    assert ends == {wake.REDEMPTIONS_ADVANCE: 60.0, wake.INBOX_DRAIN: None}
