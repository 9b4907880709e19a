"""Background jobs of a start: in order, stamped when done, tried again when not."""

import time
from pathlib import Path

import pytest

from portal.up import children, jobs
from portal.up.child import Child
from portal.up.jobs import Jobs
from portal.up.options import UpOptions
from portal.up.places import Places, folder_private


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(folder_private(tmp_path / "data"))


def make(
    places: Places, monkeypatch: pytest.MonkeyPatch, *, seed: str, demo: bool = True, experiments: bool = True
) -> Jobs:
    """Jobs whose commands append their name to `order`; the seed ends as told."""
    log = places.data / "order"

    def child(name: str, script: str) -> Child:
        return Child(name, ["sh", "-c", f"echo {name} >> {log}; {script}"], places, {"PATH": "/bin"}, Path("/"))

    monkeypatch.setattr(children, "modules", lambda *_: child("modules", "sleep 0.1"))
    monkeypatch.setattr(children, "seed", lambda *_, experiments: child("seed" if experiments else "people", seed))
    module = places.data / "modules" / "one"
    module.mkdir(parents=True, exist_ok=True)
    (module / "module.yaml").write_text("title: One", encoding="utf-8")
    monkeypatch.setattr(jobs, "MODULES", places.data / "modules")
    return Jobs(UpOptions("127.0.0.1", 8000, demo, frozenset(), experiments), places, {})


def finish(made: Jobs) -> None:
    deadline = time.monotonic() + 10
    made.watch()
    while made.current and time.monotonic() < deadline:
        time.sleep(0.02)
        made.watch()


def order(places: Places) -> list[str]:
    return (places.data / "order").read_text(encoding="utf-8").split()


def test_the_demo_waits_for_the_modules_and_both_run_once(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(make(places, monkeypatch, seed="true"))
    finish(make(places, monkeypatch, seed="true"))
    assert order(places) == ["modules", "seed"]


def test_experiments_that_were_left_out_are_made_once_they_are_wanted(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(make(places, monkeypatch, seed="true", experiments=False))
    finish(make(places, monkeypatch, seed="true", experiments=False))
    finish(make(places, monkeypatch, seed="true"))
    assert order(places) == ["modules", "people", "seed"]


def test_a_changed_module_is_published_again(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(make(places, monkeypatch, seed="true"))
    (places.data / "modules" / "one" / "main.tf").write_text("# new", encoding="utf-8")
    finish(make(places, monkeypatch, seed="true"))
    assert order(places) == ["modules", "seed", "modules"]


def test_a_failed_demo_is_told_and_tried_again(
    places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(make(places, monkeypatch, seed="echo no MLflow; false"))
    assert "no MLflow" in capsys.readouterr().out
    again = make(places, monkeypatch, seed="true")
    assert again.pending("seed")
    finish(again)
    assert not again.pending("seed")
    assert order(places) == ["modules", "seed", "seed"]


def test_an_empty_workspace_has_the_modules_and_no_demo(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(make(places, monkeypatch, seed="true", demo=False))
    assert order(places) == ["modules"]
