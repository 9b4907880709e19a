"""Modules that hang, flood, fill and bomb: each change ends with a clear message, and the next one works."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from apps.environments.models import Environment
    from apps.provisioning.models import Change
    from tests.factories import People

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

HOSTILE = Path(__file__).parent / "hostile"
MB = 1024 * 1024


@pytest.fixture
def people(db: None) -> "People":
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def root(tmp_path: Path, people: "People") -> Iterator[Path]:
    from tests.faults.one_agent import agent_running

    with agent_running(tmp_path / "agent"):
        yield tmp_path / "agent"


def launch(people: "People", name: str = "hostile", **inputs: Any) -> "Environment":
    from apps.catalog.services import module_register
    from apps.environments.services import environment_launch

    version = module_register(path=HOSTILE, actor=None)
    return environment_launch(actor=people.dana, team=people.vision, module_version=version, name=name, inputs=inputs)


def failed(environment: "Environment", code: str) -> "Change":
    from tests.factories import change_of
    from tests.faults.one_agent import settled, story

    settled(environment, "failed")
    change = change_of(environment)
    assert change.failure_code == code, story(environment)
    return change


def goes_on(people: "People") -> None:
    """Somebody else's change works."""
    from tests.faults.one_agent import settled

    settled(launch(people, name="neighbour"), "running")


def lines(environment: "Environment") -> list[str]:
    from apps.provisioning.models import LogLine

    return list(LogLine.objects.filter(workspace_id=environment.pk).order_by("number").values_list("text", flat=True))


def shorter(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """Bounds that a test can wait for."""
    from apps.provisioning.agent.bounds import StageBounds

    monkeypatch.setattr(StageBounds, "minutes", lambda self, phase: seconds.get(phase, 600.0) / 60)


def test_a_module_may_ask_for_more_minutes_up_to_a_bound(people: "People", settings: Any) -> None:
    from types import SimpleNamespace

    from apps.provisioning.agent.bounds import StageBounds

    settings.PLAN_MINUTES, settings.APPLY_MINUTES = 20, 120

    def minutes(**asked: int) -> tuple[int, int]:
        version = SimpleNamespace(interface={"limits": {f"{name}_minutes": value for name, value in asked.items()}})
        bounds = StageBounds(None, SimpleNamespace(module_version=version))  # type: ignore[arg-type]
        return bounds.minutes("plan"), bounds.minutes("apply")

    assert minutes() == (20, 120)
    assert minutes(plan=60, apply=30) == (60, 120)
    assert minutes(plan=10**6, apply=10**6) == (240, 1440)


def test_a_plan_that_never_ends_is_ended(people: "People", root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shorter(monkeypatch, plan=4)
    environment = launch(people, endless=True)
    goes_on(people)
    change = failed(environment, "provisioning:time-limit")
    assert "Planning took longer" in change.failure_summary
    environment.refresh_from_db()
    assert "module" in environment.status_reason


def test_an_apply_that_never_ends_keeps_what_is_there(
    people: "People", root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.environments.services import environment_destroy
    from tests.faults.one_agent import settled, state_names

    shorter(monkeypatch, apply=4)
    environment = launch(people, command="sleep 600")
    failed(environment, "provisioning:time-limit")
    assert "terraform_data.held" in state_names(environment)
    environment_destroy(environment=environment, actor=people.dana, confirm=environment.name)
    settled(environment, "destroyed")


@pytest.mark.matrix
def test_an_apply_that_hangs_is_cancelled(people: "People", root: Path) -> None:
    from apps.provisioning.services import change_cancel
    from tests.factories import change_of
    from tests.faults.one_agent import reach, settled, until

    environment = launch(people, command="sleep 600")
    change = reach(environment, "applying")
    until(lambda: any("local-exec" in line for line in lines(environment)))
    began = time.monotonic()
    change_cancel(change=change, actor=people.dana)
    settled(environment)
    assert change_of(environment).status == "cancelled"
    assert time.monotonic() - began < 30


@pytest.mark.timeout(900)
@pytest.mark.parametrize("megabytes", [12, pytest.param(60, marks=pytest.mark.matrix)])
def test_a_flood_of_output_is_bounded_and_its_error_told(people: "People", root: Path, megabytes: int) -> None:
    from apps.provisioning.agent.build_log import MOST_ERRORS, MOST_LINES
    from apps.provisioning.stage_setup import StageLimits
    from tests.factories import change_of
    from tests.faults.one_agent import settled

    flood = f"yes $(printf 'again%.0s' $(seq 600)) | head -c {megabytes}000000; exit 3"
    environment = launch(people, command=flood)
    log = logged(root)
    neighbour = launch(people, name="neighbour")
    largest = taken_over(log)
    change = failed(environment, "provisioning:terraform")
    settled(neighbour, "running")
    assert change_of(neighbour).finished_at < change.finished_at, "it went on meanwhile"
    assert "exit status 3" in change.failure_detail
    shown = lines(environment)
    assert len(shown) <= MOST_LINES + MOST_ERRORS + 10
    assert any("left out" in line for line in shown)
    assert StageLimits.output_bytes < largest < StageLimits.output_bytes + 2 * MB


def logged(root: Path) -> Path:
    """The log of the first apply, once something is in it."""
    from tests.faults.one_agent import until

    def filled() -> list[Path]:
        found = root.glob("workspaces/*/changes/*/apply/log.jsonl")
        return [path for path in found if path.stat().st_size > 1000]

    found: list[Path] = until(filled)
    return found[0]


def taken_over(log: Path) -> int:
    """The log's size when its stage ends, which takes as long as Terraform does; its output never stops moving."""
    from apps.provisioning.stage import stage_attach
    from tests.faults.one_agent import until

    stage = stage_attach(log.parent)
    assert stage is not None
    size = 0
    while stage.alive():
        before = written_below(stage.pid)
        with suppress(FileNotFoundError):
            size = log.stat().st_size
        until(lambda before=before: not stage.alive() or written_below(stage.pid) != before)
    return size


def written_below(pid: int) -> int:
    """Bytes that the processes below this one have written so far, into pipes as well."""
    from apps.provisioning.machine.processes import descendants

    total = 0
    for process in descendants(pid)[1:]:
        with suppress(OSError):
            told = (Path("/proc") / str(process.pid) / "io").read_text()
            total += int(told.partition("wchar: ")[2].split()[0])
    return total


@pytest.mark.matrix
def test_a_module_that_fills_its_folder_is_ended_and_the_folder_cleared(
    people: "People", root: Path, settings: Any
) -> None:
    settings.STAGE_DISK_MB = 100
    environment = launch(
        people,
        command="for i in 1 2 3 4 5 6 7 8 9; do dd if=/dev/zero of=big$i bs=1M count=60; sleep 0.4; done; sleep 60",
    )
    goes_on(people)
    change = failed(environment, "provisioning:disk-limit")
    assert "100 MB" in change.failure_summary
    work = root / "workspaces" / str(environment.pk) / "work"
    assert not list(work.glob("big*"))
    assert (work / "terraform.tfstate").exists()


def test_a_memory_bomb_is_ended(people: "People", root: Path, settings: Any) -> None:
    settings.STAGE_MEMORY_MB = 400
    environment = launch(people, command="python3 -c 'import time; x = bytearray(900 << 20); time.sleep(60)'")
    goes_on(people)
    from tests.faults.one_agent import settled

    settled(environment, "failed")
    from tests.factories import change_of

    assert change_of(environment).failure_code in ("provisioning:stage-memory", "provisioning:terraform")


@pytest.mark.matrix
def test_a_bomb_in_the_plan_itself_is_ended(people: "People", root: Path, settings: Any) -> None:
    settings.STAGE_MEMORY_MB = 400
    environment = launch(people, bomb=True)
    change = failed(environment, "provisioning:stage-memory")
    assert "400 MB" in change.failure_summary


def test_a_huge_plan_is_refused_and_a_large_state_shown_in_part(people: "People", root: Path) -> None:
    from apps.provisioning.models import Workspace
    from tests.cast import browser
    from tests.faults.one_agent import settled

    refused = launch(people, name="refused", huge_mb=40)
    failed(refused, "provisioning:plan-too-large")
    large = launch(people, name="large", huge_mb=3)
    settled(large, "running")
    row = Workspace.objects.get(pk=large.pk)
    assert len(str(row.resources)) < 2 * MB
    assert "left out" in str(row.resources)
    page = browser(people.dana).get(f"/environments/{large.pk}/resources/")
    assert page.status_code == 200
    assert len(page.content) < 2 * MB


@pytest.mark.matrix
def test_a_fork_bomb_is_held(people: "People", root: Path) -> None:
    environment = launch(people, command="for i in $(seq 3000); do sleep 3 & done; wait")
    goes_on(people)
    from tests.faults.one_agent import settled

    settled(environment, "running", "failed")
