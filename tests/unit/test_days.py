"""Calendar days in a time zone, including changes of the clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.programme.dates import expiry, maturity_and_expiry
from bridge.programme.days import end_of_day, end_of_day_after, local_date, start_of_day
from bridge.programme.rules import Programme

ZONES = [
    "UTC", "Europe/Berlin", "America/Sao_Paulo", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Atlantic/Azores",
    "Australia/Lord_Howe",
]  # fmt: skip


@pytest.mark.parametrize(
    ("day", "zone", "end"),
    [
        # Clocks are set forward on 29 March 2026 and back on 25 October: days of 23 and 25 hours.
        (date(2026, 3, 28), "Europe/Berlin", "2026-03-28T22:59:59.999999"),
        (date(2026, 3, 29), "Europe/Berlin", "2026-03-29T21:59:59.999999"),
        (date(2026, 10, 25), "Europe/Berlin", "2026-10-25T22:59:59.999999"),
        # Set forward at midnight: 4 November 2018 began at 1:00.
        (date(2018, 11, 3), "America/Sao_Paulo", "2018-11-04T02:59:59.999999"),
        # Set back at midnight: 17 February 2018 had 25 hours, its last one twice.
        (date(2018, 2, 17), "America/Sao_Paulo", "2018-02-18T02:59:59.999999"),
        (date(2026, 6, 1), "Asia/Kolkata", "2026-06-01T18:29:59.999999"),
        # There was no 30 December 2011.
        (date(2011, 12, 29), "Pacific/Apia", "2011-12-30T09:59:59.999999"),
        (date(2011, 12, 31), "Pacific/Apia", "2011-12-31T09:59:59.999999"),
    ],
)
def test_a_day_ends_with_its_last_microsecond_in_the_time_zone(day: date, zone: str, end: str) -> None:
    assert end_of_day(day, zone) == datetime.fromisoformat(end).replace(tzinfo=UTC)


START = datetime(2005, 1, 1, tzinfo=UTC)
moments = st.integers(0, 30 * 365 * 24 * 3600).map(lambda seconds: START + timedelta(seconds=seconds))


@given(moment=moments, zone=st.sampled_from(ZONES))
def test_every_moment_is_within_its_day(moment: datetime, zone: str) -> None:
    day = moment.astimezone(ZoneInfo(zone)).date()
    assert local_date(moment, zone) == day
    assert start_of_day(day, zone) <= moment <= end_of_day(day, zone)
    assert end_of_day(day, zone).astimezone(ZoneInfo(zone)).date() == day
    assert (end_of_day(day, zone) + timedelta.resolution).astimezone(ZoneInfo(zone)).date() > day


@given(moment=moments, zone=st.sampled_from(ZONES), days=st.integers(1, 400))
def test_points_are_good_to_the_end_of_the_day_that_a_page_there_shows(moment: datetime, zone: str, days: int) -> None:
    programme = Programme.model_validate({"time_zone": zone, "earn": {"expires_after_days": days}})
    _, expires_at = maturity_and_expiry(programme, moment)
    assert expires_at == expiry(programme, moment) == end_of_day_after(moment, days, zone)
    shown = expires_at.astimezone(ZoneInfo(zone))
    after = (expires_at + timedelta.resolution).astimezone(ZoneInfo(zone))
    wanted = moment.astimezone(ZoneInfo(zone)).date() + timedelta(days=days)
    # Samoa skipped this day.
    assert shown.date() == wanted or (zone, wanted) == ("Pacific/Apia", date(2011, 12, 30))
    assert after.date() > shown.date()
