"""The words of the template tags: times, durations, figures, icons."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.http import HttpRequest, QueryDict
from django.template import TemplateSyntaxError
from django.utils import timezone

from apps.core.templatetags import portal_ui

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.25, "250 ms"),
        (9, "9 s"),
        (65, "1 min 5 s"),
        (7_800, "2 h 10 min"),
        (3_600, "1 h"),
        (90_000, "1 d 1 h"),
        (timedelta(minutes=15), "15 min"),
        (-5, "0 s"),
    ],
)
def test_duration_says_the_two_largest_units(seconds, words):
    assert portal_ui.duration(seconds) == words


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (timedelta(seconds=-3), "just now"),
        (timedelta(seconds=-59), "59 s ago"),
        (timedelta(minutes=-3, seconds=-20), "3 min ago"),
        (timedelta(hours=-5, minutes=-50), "5 h ago"),
        (timedelta(hours=2, minutes=10, seconds=40), "in 2 h 10 min"),
        (timedelta(days=-20), "18 Feb 12:00"),
    ],
)
def test_relative_is_coarse_and_becomes_a_date_after_a_week(distance, words):
    assert portal_ui.relative(NOON + distance, NOON) == words


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (NOON.replace(hour=18), "18:00"),
        (NOON + timedelta(days=1), "Tomorrow 12:00"),
        (NOON - timedelta(days=1), "Yesterday 12:00"),
        (NOON + timedelta(days=5), "15 Mar 12:00"),
        (NOON - timedelta(days=200), "22 Aug 2025 12:00"),
    ],
)
def test_clock_says_no_more_than_is_needed(moment, words):
    assert portal_ui.clock(moment, NOON) == words


def test_clock_is_in_the_persons_zone():
    with timezone.override("Europe/Helsinki"):
        assert portal_ui.clock(NOON, NOON) == "14:00"


def test_time_carries_the_moment_for_machines():
    shown = portal_ui.time(NOON, "until")
    assert 'datetime="2026-03-10T12:00:00.000Z"' in shown
    assert 'data-live-time="until"' in shown


def test_time_refuses_a_moment_without_a_zone():
    with pytest.raises(ValueError, match="naive"):
        portal_ui.time(NOON.replace(tzinfo=None))


def test_elapsed_counts_only_while_there_is_no_end():
    assert "data-elapsed" in portal_ui.elapsed(timezone.now())
    assert portal_ui.elapsed(NOON, NOON + timedelta(seconds=9)) == '<span class="num">9 s</span>'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.913123, "0.9131"),
        (4312, "4,312"),
        (1_234_567, "1.235e+06"),
        (-0.5, "−0.5"),
        (0.00001234, "1.234e-05"),
        (float("nan"), "NaN"),
        (0, "0"),
    ],
)
def test_four_digits(value, shown):
    assert portal_ui.four_digits(value) == shown


def test_an_unknown_price_is_said_and_never_zero():
    assert "no price yet" in portal_ui.money(None)
    assert "€0.00" in portal_ui.money(0)
    assert "€1,234.50 / month" in portal_ui.money(Decimal("1234.5"), per="month")
    assert "€0.0042" in portal_ui.money(0.0042)


def test_sizes():
    assert portal_ui.bytes_size(512 * 1024**2) == "512 MB"
    assert portal_ui.bytes_size(1.4 * 1024**3) == "1.4 GB"
    assert portal_ui.bytes_size(None) == "–"


def test_an_icon_that_the_sprite_lacks_is_an_error():
    assert "#bell" in portal_ui.icon("bell")
    with pytest.raises(TemplateSyntaxError, match="No icon"):
        portal_ui.icon("bel")


def test_a_status_is_a_word_beside_a_dot_and_escapes_it():
    shown = portal_ui.status("bad", "<b>Couldn't start")
    assert "state-bad" in shown
    assert "&lt;b&gt;" in shown
    with pytest.raises(TemplateSyntaxError):
        portal_ui.status("purple", "Running")


def test_the_bar_grows_and_never_reaches_the_end():
    values = [portal_ui.progress_value(seconds, 9) for seconds in (0, 3, 9, 14, 60, 6000)]
    assert values == sorted(values)
    assert values[0] == 0
    assert values[2] == pytest.approx(79.8, abs=0.2)
    assert values[-1] < 100
    assert portal_ui.progress_value(5, None, 1, 4) == 37.5


def test_query_changes_one_parameter_and_drops_paging():
    request = HttpRequest()
    request.GET = QueryDict("team=churn&q=nb&cursor=abc")
    assert portal_ui.query({"request": request}, q=None) == "?team=churn"
    assert portal_ui.query({"request": request}, ordering="-name") == "?team=churn&q=nb&ordering=-name"


def test_attributes_are_escaped():
    assert portal_ui.attributes({"data-a": '"x"', "hidden": True, "b": None}) == ' data-a="&quot;x&quot;" hidden'
