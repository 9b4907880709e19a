"""What a page says is being built is what is being built."""

from datetime import UTC, datetime

from apps.provisioning.agent.under_way import UnderWay
from apps.provisioning.terraform_log import LogEntry

LABELS = {"slipway_volume.home": "Your files", "terraform_data.build": "Building"}


def entry(hook: str, resource: str) -> LogEntry:
    return LogEntry(datetime.now(UTC), "info", "told", hook=hook, resource=resource)


def test_what_goes_on_is_told_after_what_began_later_has_ended() -> None:
    under_way = UnderWay()
    assert under_way.follow([entry("apply_start", "terraform_data.build")]) == 0
    assert under_way.newest(LABELS) == "Building"
    assert under_way.follow([entry("apply_start", "slipway_volume.home")]) == 0
    assert under_way.newest(LABELS) == "Your files"
    assert under_way.follow([entry("apply_complete", "slipway_volume.home")]) == 1
    assert under_way.newest(LABELS) == "Building"


def test_what_failed_does_not_count_as_finished() -> None:
    under_way = UnderWay()
    assert under_way.follow([entry("apply_start", "a.b[0]"), entry("apply_errored", "a.b[0]")]) == 0
    assert under_way.newest(LABELS) == ""


def test_the_lines_after_a_restart_of_the_agent_count_what_was_begun_before_it() -> None:
    under_way = UnderWay()
    assert under_way.follow([entry("apply_complete", "slipway_volume.home")]) == 1


def test_one_of_several_goes_by_the_label_of_all() -> None:
    under_way = UnderWay()
    under_way.follow([entry("apply_start", "terraform_data.build[3]"), entry("apply_start", "x.unnamed")])
    assert under_way.newest(LABELS) == "x.unnamed"
    under_way.follow([entry("apply_complete", "x.unnamed")])
    assert under_way.newest(LABELS) == "Building"
