"""What a Terraform module can run (`local-exec`, `external`) against the portal, with every engine and sandbox."""

import json
import os
import re
import shlex
import time
import urllib.parse
from dataclasses import replace
from pathlib import Path

import pytest

from apps.provisioning.terraform_sandbox import _probe
from tests.contracts.conftest import Bench, agent, bench, engine, plugins

__all__ = ["agent", "bench", "engine", "plugins"]

ATTACK = Path(__file__).with_name("module_attack.py").read_text()
MODES = ["bubblewrap", pytest.param("landlock", marks=pytest.mark.matrix)]
# Exactly what a level leaves open; THREAT_MODEL.md says so.
KNOWN = {
    "bubblewrap": set(),
    "landlock": set(),
}


@pytest.fixture
def other(bench: Bench, tmp_path: Path) -> Path:
    """The folder of another environment beside this one, and the portal's own files above."""
    folder = tmp_path / "other"
    (folder / "work").mkdir(parents=True, mode=0o700)
    for name in ("work/terraform.tfstate", "work/terraform.tfvars.json", "plan.bin"):
        (folder / name).write_text("canary")
    (tmp_path / "portal-key").write_text("canary")
    return folder


def told(bench: Bench, other: Path) -> dict[str, object]:
    database = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
    sockets = Path(urllib.parse.parse_qs(database.query)["host"][0])
    return {
        "files": [
            str(other.parent), str(other.parent / "portal-key"), str(other / "work" / "terraform.tfstate"),
            str(other / "work" / "terraform.tfvars.json"), str(other / "plan.bin"), str(bench.stage_dir("plan")),
            str(bench.stage_dir("plan") / "stage.json"), str(bench.stage_dir("apply") / "environment.json"),
            str(Path(__file__).resolve().parents[2] / "manage.py"), "/etc/shadow", f"/proc/{os.getpid()}/environ",
        ],
        "writes": [
            str(bench.stage_dir("plan") / "plan.bin"), str(bench.stage_dir("apply") / "log.jsonl"),
            str(bench.stage_dir("apply") / "exit"), str(bench.stage_dir("apply") / "terraform.rc"),
            str(bench.sandbox.plugins / "planted"), str(other / "work" / "planted"),
            os.path.realpath(os.sys.prefix) + "/x", "/usr/x", "/etc/x", "/dev/x", "/proc/sys/kernel/core_pattern",
            "/proc/sysrq-trigger",
        ],
        "pid": os.getpid(),
        "postgres": str(next(sockets.glob(".s.PGSQL.*[0-9]"))),
        "valkey": urllib.parse.urlsplit(os.environ["BROKER_URL"]).port,
        "canary": "canary-variable",
        "marker": f"left-{bench.root.parent.name}-{bench.engine.kind}",
    }  # fmt: skip


def left_running(marker: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("mode", MODES)
def test_a_module_reaches_nothing_of_the_portal(bench: Bench, other: Path, mode: str) -> None:
    if (problem := _probe(mode)) is not None:  # type: ignore[arg-type]
        pytest.skip(f"{mode}: {problem}")
    bench.sandbox = replace(bench.sandbox, mode=mode)  # type: ignore[arg-type]
    bench.environ |= dict.fromkeys(("SECRET_KEY", "DATABASE_URL", "TF_VAR_x", "AWS_SECRET_KEY"), "canary-variable")
    given = told(bench, other)
    (bench.work / "attack.py").write_text(ATTACK)
    (bench.work / "told.json").write_text(json.dumps(given))
    command = f"{shlex.quote(os.path.realpath(os.sys.executable))} -I -S attack.py"
    bench.module(
        'resource "terraform_data" "spy" {\n  provisioner "local-exec" {\n'
        f"    command = {json.dumps(command)}\n  }}\n}}\n"
    )

    result = bench.apply()

    assert result.ok, bench.said("apply")
    report = json.loads((bench.work / "report.json").read_text())
    assert report.pop("daemon") == "left"
    assert {name for name, said in report.items() if not said.startswith("refused")} <= KNOWN[mode], report
    deadline = time.monotonic() + 5
    while left := left_running(str(given["marker"])):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    for path in other.rglob("*"):
        assert path.is_dir() or path.read_text() == "canary"


def test_a_data_source_sees_as_little_while_planning(bench: Bench, other: Path) -> None:
    """`external` runs with every plan, before anybody has approved anything."""
    given = told(bench, other)
    (bench.work / "attack.py").write_text(ATTACK)
    (bench.work / "told.json").write_text(json.dumps(given))
    program = json.dumps([os.path.realpath(os.sys.executable), "-I", "-S", "attack.py"])
    bench.module(
        'terraform {\n  required_providers {\n    external = { source = "hashicorp/external" }\n  }\n}\n'
        f'data "external" "spy" {{\n  program = {program}\n}}\n'
    )
    bench.environ["SECRET_KEY"] = "canary-variable"

    result = bench.run("plan")

    if not result.ok and re.search(r"could not (connect|query)|Failed to (query|install|resolve)", bench.said("plan")):
        pytest.skip("the provider hashicorp/external is in no mirror here, and its registry cannot be reached")
    assert result.ok, bench.said("plan")
    report = json.loads((bench.work / "report.json").read_text())
    assert report.pop("daemon") == "left"
    assert {name for name, said in report.items() if not said.startswith("refused")} == set(), report
    assert left_running(str(given["marker"])) == []
