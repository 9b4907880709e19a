"""What every engine must do, run against each one this machine has: the PATH binary and the embedded one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from apps.provisioning.engine import Engine, PlanOptions
from apps.provisioning.plans import (
    log_line_parse,
    outputs_from_state,
    plan_digest,
    plan_is_stale,
    plan_summary,
    resources_from_state,
    state_read,
)
from apps.provisioning.stage import PlanMismatch, StageExists, stage_attach, stage_diagnostics
from apps.provisioning.stage_runner import children_of, stat_of
from apps.provisioning.terraform_sandbox import sandbox_detect
from tests.contracts.conftest import ENGINES, Bench
from tests.terraform.fake_agent import FakeAgent

pytestmark = pytest.mark.slow

SECRET = "hunter2-very-secret"
NOTEBOOK = """
terraform {
  required_providers {
    slipway = { source = "slipway.local/slipway/slipway" }
  }
}
variable "password" {
  type      = string
  sensitive = true
}
variable "running" {
  type    = bool
  default = true
}
resource "slipway_volume" "home" { name = "home" }
resource "slipway_service" "lab" {
  name               = "lab"
  command            = ["lab", "--port={port}"]
  volume             = slipway_volume.home.id
  running            = var.running
  secret_environment = { PASSWORD = var.password }
}
resource "terraform_data" "copy" { input = "user:${var.password}" }
output "address" { value = slipway_service.lab.address }
output "secret" {
  value     = slipway_service.lab.secret
  sensitive = true
}
"""
SLOW = """
resource "terraform_data" "quick" { input = "quick" }
resource "terraform_data" "slow" {
  depends_on = [terraform_data.quick]
  provisioner "local-exec" { command = "touch started; sleep %s; touch finished" }
}
resource "terraform_data" "never" { depends_on = [terraform_data.slow] }
"""


def values_write(bench: Bench, **values: object) -> None:
    path = bench.work / "terraform.tfvars.json"
    path.write_text(json.dumps(values))
    path.chmod(0o600)


def until(condition: Callable[[], object], seconds: float = 20.0) -> object:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def names_in_state(bench: Bench) -> set[str]:
    state = state_read(bench.work)
    return {item["name"] for item in resources_from_state(state.data)} if state else set()


def plan_json(bench: Bench, stage: str) -> dict:
    return json.loads((bench.stage_dir(stage) / "plan.json").read_text())


def processes_below(pid: int) -> list[int]:
    found = children_of(pid)
    return found + [deeper for child in found for deeper in processes_below(child)]


def test_tells_its_kind_and_version(engine: Engine) -> None:
    assert engine.kind in ("terraform", "tofu")
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", engine.version)


def test_builds_changes_and_destroys_through_the_provider(bench: Bench, agent: FakeAgent) -> None:
    bench.module(NOTEBOOK)
    values_write(bench, password=SECRET)

    assert [command.name for command in bench.succeed("plan").commands] == ["init", "plan", "show"]
    summary = plan_summary(plan_json(bench, "plan"))
    assert not summary.destructive
    assert summary.counts == {"create": 3}
    assert SECRET not in json.dumps(summary.to_json())
    digest = plan_digest(bench.stage_dir("plan") / "plan.bin")
    bench.succeed("apply", plan="plan", plan_hash=digest)
    assert (agent.names("volumes"), agent.names("services")) == (["home"], ["lab"])
    state = state_read(bench.work)
    assert state is not None
    outputs = outputs_from_state(state.data)
    assert outputs["address"]["value"].startswith("127.0.0.1:")
    secret = outputs["secret"]["value"]
    shown = json.dumps([resources_from_state(state.data), outputs_from_state(state.data, mask=True)])
    assert secret not in shown
    assert SECRET not in shown
    entries = [log_line_parse(line) for line in (bench.stage_dir("apply") / "log.jsonl").read_text().splitlines()]
    done = {entry.resource for entry in entries if entry and entry.hook == "apply_complete"}
    assert done == {"slipway_volume.home", "slipway_service.lab", "terraform_data.copy"}

    # A stop: the same module, in place, and without initialising anything again.
    values_write(bench, password=SECRET, running=False)
    assert [command.name for command in bench.succeed("plan-2", "plan").commands] == ["plan", "show"]
    summary = plan_summary(plan_json(bench, "plan-2"))
    assert [(item.address, item.action) for item in summary.resources] == [("slipway_service.lab", "update")]
    bench.succeed("apply-2", "apply", plan="plan-2")
    assert agent.objects["services", "lab"]["status"] == "stopped"
    assert outputs_from_state(state_read(bench.work).data)["secret"]["value"] == secret

    bench.succeed("plan-3", "plan", options=PlanOptions(destroy=True))
    assert plan_summary(plan_json(bench, "plan-3")).destructive
    bench.succeed("apply-3", "apply", plan="plan-3")
    assert agent.objects == {}
    assert names_in_state(bench) == set()


def test_a_refresh_shows_what_changed_outside(bench: Bench, agent: FakeAgent) -> None:
    bench.module(NOTEBOOK)
    values_write(bench, password=SECRET)
    assert bench.apply().ok
    agent.crash_service("lab")

    bench.succeed("refresh")

    drift = plan_summary(plan_json(bench, "refresh")).drift
    changed = {change.name: change.after for item in drift for change in item.attributes}
    assert {item.address for item in drift} == {"slipway_service.lab"}
    assert changed["running"] is False
    assert changed["status"] == "crashed"


def test_sensitive_values_are_never_on_a_command_line_or_in_the_log(bench: Bench, agent: FakeAgent) -> None:
    bench.module(NOTEBOOK)
    values_write(bench, password=SECRET)
    agent.delay_s = 0.3
    seen = set()
    for handle in (lambda: bench.start("plan"), lambda: bench.start("apply", plan="plan")):
        stage = handle()
        while stage.poll() is None:
            for pid in processes_below(stage.pid):
                try:
                    seen.add(Path(f"/proc/{pid}/cmdline").read_bytes())
                except OSError:
                    continue
            time.sleep(0.01)
        assert stage.poll().ok, bench.said(stage.stage_dir.name)
    assert any(b"apply" in line for line in seen)
    assert not any(SECRET.encode() in line for line in seen)
    assert not any(bench.token.encode() in line for line in seen)
    assert SECRET not in bench.said("plan") + bench.said("apply")


def test_the_portals_environment_and_files_stay_outside(bench: Bench, tmp_path: Path) -> None:
    canary = tmp_path / "portal-key"
    canary.write_text("canary-file-content")
    bench.environ |= {
        "SLIPWAY_KEYS": "canary-variable",
        "DATABASE_URL": "canary-variable",
        "TF_VAR_x": "canary-variable",
    }
    bench.module(f"""
resource "terraform_data" "spy" {{
  provisioner "local-exec" {{ command = "env > seen.env; cat {canary} > seen.file; id -u > seen.ran; true" }}
}}
""")

    assert bench.apply().ok

    environment = (bench.work / "seen.env").read_text()
    assert "canary-variable" not in environment
    assert set(re.findall(r"^(\w+)=", environment, re.MULTILINE)) >= {"PATH", "HOME", "TF_IN_AUTOMATION"}
    assert (bench.work / "seen.ran").read_text().strip() == str(os.getuid())
    if sandbox_detect().mode != "none":
        assert (bench.work / "seen.file").read_text() == ""


def test_cancel_keeps_what_is_being_created(bench: Bench) -> None:
    bench.module(SLOW % 2)
    bench.succeed("plan")
    stage = bench.start("apply", plan="plan")
    until((bench.work / "started").exists)

    stage.cancel()
    stage.cancel()
    result = stage.wait(20)

    assert result is not None
    assert (result.status, result.cancelled) == ("cancelled", True)
    assert "never" not in names_in_state(bench)
    assert {"quick", "slow"} <= names_in_state(bench)


def test_cancel_lets_the_provider_finish_its_call(bench: Bench, agent: FakeAgent) -> None:
    bench.module(NOTEBOOK)
    values_write(bench, password=SECRET)
    bench.succeed("plan")
    agent.delay_s = 1.5
    stage = bench.start("apply", plan="plan")
    # The volume is under way, the service has not begun.
    until(lambda: ("PUT", "/v1/volumes/home") in agent.calls)

    stage.cancel()
    result = stage.wait(20)

    assert result is not None
    assert result.status == "cancelled"
    assert "home" in names_in_state(bench)
    assert agent.names("services") == []


def test_the_stage_survives_its_starter_and_is_found_again(bench: Bench, plugins: Path) -> None:
    bench.module(SLOW % 1)
    bench.succeed("plan")
    script = f"""
import os
from pathlib import Path
from apps.provisioning.engine import Engine
from apps.provisioning.stage import stage_start
from apps.provisioning.terraform_sandbox import SandboxSpec
root = Path({str(bench.root)!r})
stage_start(
    Engine({bench.engine.kind!r}, {bench.engine.version!r}, {bench.engine.argv!r}, "path",
           tuple(Path(part) for part in {[str(part) for part in bench.engine.visible]!r})),
    work=root / "work", stage_dir=root / "changes/c/apply", phase="apply", plan=root / "changes/c/plan/plan.bin",
    sandbox=SandboxSpec(plugins=Path({str(plugins)!r})), environ=dict(os.environ),
)
os.kill(os.getpid(), 9)
"""
    started = subprocess.run([sys.executable, "-c", script], check=False, cwd=Path(__file__).parents[2])
    assert started.returncode == -signal.SIGKILL

    stage = stage_attach(bench.stage_dir("apply"))

    assert stage is not None
    bench.stages.append(stage)
    assert stage.poll() is None
    result = stage.wait(20)
    assert result is not None
    assert result.ok, bench.said("apply")
    assert stage_attach(bench.stage_dir("apply")).poll() == result
    assert names_in_state(bench) == {"quick", "slow", "never"}


def test_a_killed_runner_takes_terraform_along_and_the_state_holds_what_was_done(bench: Bench) -> None:
    bench.module(SLOW % 30)
    bench.succeed("plan")
    stage = bench.start("apply", plan="plan")
    until((bench.work / "started").exists)
    below = [pid for pid in processes_below(stage.pid) if stat_of(pid)]
    assert below

    stage.kill()
    result = stage.wait(20)

    assert result is not None
    assert result.status == "lost"
    until(lambda: not any(stat_of(pid) and stat_of(pid)[0] != "Z" for pid in below), 5)
    assert "quick" in names_in_state(bench)
    assert not (bench.work / "finished").exists()
    # Nothing is stuck: the same directory plans and applies again.
    bench.module(SLOW % 0)
    assert bench.apply("-again").ok
    assert names_in_state(bench) == {"quick", "slow", "never"}


def test_a_plan_of_another_engine_is_refused(bench: Bench) -> None:
    others = [engine for engine in ENGINES if engine.version != bench.engine.version]
    if not others:
        pytest.skip("one version only")
    bench.module('resource "terraform_data" "a" {}')
    bench.succeed("plan", engine=others[0])
    with pytest.raises(PlanMismatch, match="has to be made again"):
        bench.start("apply", plan="plan")
    # And where nobody looked, Terraform itself says so, in words that are recognised.
    (bench.stage_dir("plan") / "stage.json").unlink()
    assert not bench.run("apply-2", "apply", plan="plan").ok
    assert plan_is_stale(stage_diagnostics(bench.stage_dir("apply-2"))), bench.said("apply-2")


def test_only_the_approved_plan_is_applied_and_only_once(bench: Bench) -> None:
    bench.module('resource "terraform_data" "a" {}')
    bench.succeed("plan")
    digest = plan_digest(bench.stage_dir("plan") / "plan.bin")
    with pytest.raises(PlanMismatch, match="not the plan that was approved"):
        bench.start("apply", plan="plan", plan_hash="0" * 64)
    bench.succeed("apply", plan="plan", plan_hash=digest)
    with pytest.raises(StageExists):
        bench.start("apply", plan="plan", plan_hash=digest)

    assert not bench.run("apply-2", "apply", plan="plan", plan_hash=digest).ok
    assert plan_is_stale(stage_diagnostics(bench.stage_dir("apply-2"))), bench.said("apply-2")


def test_destroying_nothing_succeeds(bench: Bench) -> None:
    bench.module(NOTEBOOK)
    values_write(bench, password=SECRET)
    bench.succeed("plan", options=PlanOptions(destroy=True))
    assert plan_summary(plan_json(bench, "plan")).empty
    bench.succeed("apply", plan="plan")


def test_errors_are_told_with_their_resource(bench: Bench) -> None:
    bench.module(NOTEBOOK.replace('"lab", "--port', '"crash", "--port'))
    values_write(bench, password=SECRET)
    bench.succeed("plan")

    result = bench.run("apply", plan="plan")

    assert result.status == "failed"
    (error,) = [item for item in stage_diagnostics(bench.stage_dir("apply")) if item.severity == "error"]
    assert error.address == "slipway_service.lab"
    assert "ModuleNotFoundError" in error.detail
    # It exists and must be found by a destroy; trying again makes it anew, which costs nobody anything.
    assert "lab" in names_in_state(bench)
    bench.module(NOTEBOOK)
    bench.succeed("plan-2", "plan")
    again = plan_summary(plan_json(bench, "plan-2"))
    assert [(item.address, item.action) for item in again.resources] == [("slipway_service.lab", "replace")]
    assert not again.destructive
    bench.succeed("apply-2", "apply", plan="plan-2")


def test_a_broken_module_is_told_at_planning(bench: Bench) -> None:
    bench.module('resource "terraform_data" "a" { input = var.missing }')
    assert bench.run("plan").status == "failed"
    errors = [item for item in stage_diagnostics(bench.stage_dir("plan")) if item.severity == "error"]
    assert errors
    assert errors[0].place.startswith("main.tf line")


@pytest.mark.parametrize("mode", ["landlock", "none"])
def test_weaker_sandboxes_work_too(bench: Bench, mode: str) -> None:
    from apps.provisioning.terraform_sandbox import _probe

    if mode == "landlock" and _probe("landlock") is not None:
        pytest.skip("no Landlock here")
    bench.sandbox = replace(bench.sandbox, mode=mode)  # type: ignore[arg-type]
    bench.module(NOTEBOOK)
    values_write(bench, password=SECRET)
    assert bench.apply().ok, bench.said("apply")
    assert bench.apply("-d", destroy=True).ok


@pytest.mark.parametrize("mode", ["landlock", "none"])
def test_weaker_sandboxes_leave_nothing_behind_either(bench: Bench, mode: str) -> None:
    bench.sandbox = replace(bench.sandbox, mode=mode)  # type: ignore[arg-type]
    bench.module(SLOW % 30)
    bench.succeed("plan")
    stage = bench.start("apply", plan="plan")
    until((bench.work / "started").exists)
    below = processes_below(stage.pid)

    stage.kill()

    assert stage.wait(10).status == "lost"
    until(lambda: not any(stat_of(pid) and stat_of(pid)[0] != "Z" for pid in below), 5)
    assert "quick" in names_in_state(bench)
