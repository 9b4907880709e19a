"""One change on its way through Terraform, as a small state machine that the daemon ticks.

Everything it needs to go on stands in the row and in the stage folders, so a new agent continues where a killed one
was: a stage that runs is attached to, one that ended is read, one that never began is begun.
"""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from apps.core.correlation import correlation_id
from apps.core.crypto import KeyLost, decrypt_json
from apps.provisioning.agent.bounds import StageBounds
from apps.provisioning.agent.deciding import goes_by_itself, plan_losses
from apps.provisioning.agent.following import Following
from apps.provisioning.agent.gating import Gating
from apps.provisioning.agent.giving import given_for, values_with
from apps.provisioning.agent.layout import WorkspaceFolder, workspace_folder
from apps.provisioning.agent.run_context import context_write
from apps.provisioning.agent.settling import Settling
from apps.provisioning.agent.shipping import Redactor, commands_record
from apps.provisioning.agent.workspace_files import inputs_write, state_fields, work_clear
from apps.provisioning.bounding import plan_shortened
from apps.provisioning.engine import Engine, PlanOptions
from apps.provisioning.failures import LOST, REPLANNED, UNKNOWN, failure_code
from apps.provisioning.leases import Lease
from apps.provisioning.losses import losses_to_json
from apps.provisioning.machine import Machine
from apps.provisioning.models import Change, Workspace
from apps.provisioning.plans import plan_digest, plan_secrets, plan_summary
from apps.provisioning.stage import PlanMismatch, StageHandle, StageResult, stage_attach, stage_diagnostics, stage_start
from apps.provisioning.stage_setup import Phase
from apps.provisioning.terraform_sandbox import SandboxSpec
from apps.provisioning.terraform_state import state_is_too_large
from apps.provisioning.transitions import change_fail, change_transition

log = logging.getLogger(__name__)

Status = Change.Status
MOST_REPLANS = 3
# What a person may change while this runs; the plan and the like are this run's own.
MOVED_BY_OTHERS = ("status", "fence", "cancel_requested_at", "kill_confirmed_at", "approved_hash")
# Less than a plan or a state may need.
FULL_BYTES = 1024 * 1024


@dataclass(frozen=True)
class AgentContext:
    """What every change on this machine shares."""

    root: Path
    lease: Lease
    engine: Engine
    machine: Machine
    sandbox: SandboxSpec
    environ: dict[str, str]


class ChangeRun:
    """One change on this machine; `tick()` never waits."""

    def __init__(self, agent: AgentContext, change: Change) -> None:
        self.agent = agent
        self.change = change
        self.workspace: Workspace = change.workspace
        self.folder: WorkspaceFolder = workspace_folder(agent.root, change.workspace_id)
        self.values: dict[str, Any] = decrypt_json(bytes(change.values)) if change.values else {}
        self.interface = change.module_version.interface
        self.redact = Redactor([self.values.get("slipway_secrets", {}), *self._sensitive_inputs()])
        self.attempt = self._last_attempt()
        self.handle: StageHandle | None = None
        self.cancel_sent = self.kill_sent = self.never_began = self.troubled = False
        self.following = Following(
            machine=agent.machine, lease=agent.lease, change=change, folder=self.folder, redact=self.redact
        )
        self.bounds = StageBounds(agent.machine, change)
        self.settling: tuple[Settling, StageResult] | None = None
        self.gating: Gating | None = None
        self.is_admitted = False

    def tick(self) -> bool:
        """Do what can be done now without waiting; True when the change has ended or waits for a person."""
        correlation_id.set(self.change.correlation_id or "-")
        self.change.refresh_from_db(fields=MOVED_BY_OTHERS)
        status = self.change.status
        if self.gating is not None and self.change.is_active:
            return self._tick_gating()
        if status == Status.QUEUED:
            return self._begin()
        if status == Status.PLANNING:
            return self._tick_stage("plan", self._planned)
        if status == Status.PLANNED:
            return self._begin_apply()
        if status == Status.APPLYING:
            return self._tick_settling() if self.settling else self._tick_stage("apply", self._applied)
        if not self.change.is_active:
            self.folder.forget_change(self.change.pk)
        return True

    # From queued to planning -----------------------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Only while the lease is ours: an agent that slept through its end must not begin beside the next one."""
        with transaction.atomic():
            self.agent.lease.check()
            Change.objects.filter(pk=self.change.pk, status=Status.QUEUED).update(fence=self.agent.lease.fence)
            begun = change_transition(
                self.change,
                Status.PLANNING,
                fence=self.agent.lease.fence,
                engine=self.agent.engine.kind,
                engine_version=self.agent.engine.version,
                step="Planning",
            )
        return not begun

    def _start_stage(self, phase: Phase) -> None:
        if phase == "apply":
            self._learn_plan()
        given = given_for(self.change)
        self.redact.learn(given.secrets)
        stage = self.folder.stage(self.change.pk, phase, self.attempt)
        self.handle = stage_attach(stage)
        if self.handle is not None:
            return
        if phase == "plan":
            inputs_write(self.folder, self.change, values_with(given, self.values, self.interface))
        plan = self.folder.stage(self.change.pk, "plan", self.attempt) / "plan.bin"
        self.handle = stage_start(
            self.agent.engine,
            work=self.folder.work,
            stage_dir=stage,
            phase=phase,
            options=PlanOptions(
                destroy=self.change.kind == Change.Kind.DESTROY,
                refresh_only=self.change.kind == Change.Kind.REFRESH,
            ),
            plan=plan if phase == "apply" else None,
            plan_hash=self.change.approved_hash if phase == "apply" else "",
            sandbox=self.agent.sandbox,
            environ=self.agent.environ,
            agent_token=self.agent.machine.environment_token(str(self.workspace.pk)),
            given=given,
            limits=self.bounds.begin(phase, self.attempt),
        )

    # While a stage runs ----------------------------------------------------------------------------------------------

    def _tick_stage(self, phase: Phase, finish: Callable[[StageResult], bool]) -> bool:
        if self.handle is None:
            try:
                self._start_stage(phase)
            except PlanMismatch:
                return self._plan_again()
            except KeyLost as error:
                return self._fail("provisioning:key-lost", f"A value of a variable set cannot be read. {error}.")
        assert self.handle is not None
        self._heed_cancel()
        result = self.handle.poll()
        self.following.look(phase, self.attempt)
        if result is None or not self.following.log_is_shipped:
            return False
        commands_record(self.change, result)
        result = replace(result, passed=self.bounds.end(phase, self.attempt, result))
        self.never_began = self.handle.pid == 0
        self.handle = None
        return finish(result)

    def _heed_cancel(self) -> None:
        assert self.handle is not None
        if self.change.cancel_requested_at and not self.cancel_sent:
            self.handle.cancel()
            self.cancel_sent = True
        if self.change.kill_confirmed_at and not self.kill_sent:
            self.handle.kill()
            self.kill_sent = True

    # From planning to planned, and on --------------------------------------------------------------------------------

    def _planned(self, result: StageResult) -> bool:
        if not result.ok:
            return self._end_badly(result, "plan")
        if self.change.cancel_requested_at:
            return self._end(Status.CANCELLED)
        stage = self.folder.stage(self.change.pk, "plan", self.attempt)
        planned = json.loads((stage / "plan.json").read_text())
        summary = plan_summary(planned, secrets=self.redact.secrets)
        losses = plan_losses(self.agent.machine, self.workspace, self.change, planned)
        digest = plan_digest(stage / "plan.bin")
        self.redact.learn(plan_secrets(planned))
        fields: dict[str, Any] = {
            "plan": plan_shortened(summary.to_json()) | {"lost": losses_to_json(losses)},
            "plan_hash": digest,
            "plan_fingerprint": summary.fingerprint,
            "steps_total": len(summary.resources),
        }
        go_on = self._admit if goes_by_itself(self.change, summary, losses) else self._wait_for_approval
        self._ask_rules(planned, fields, go_on)
        return False

    def _ask_rules(self, planned: dict[str, Any], fields: dict[str, Any], go_on: Callable[..., bool]) -> None:
        """Nothing is applied before the rules were asked; `go_on` gets `fields` and findings where none denies."""
        self.gating = Gating(self.change, planned, self.redact.secrets, fields, go_on)

    def _tick_gating(self) -> bool:
        assert self.gating is not None
        if not self.gating.done():
            return False
        gating, self.gating = self.gating, None
        fields = gating.result()
        if self.change.cancel_requested_at:
            return self._end(Status.CANCELLED)
        return self._end(Status.FAILED, **fields) if "failure_code" in fields else gating.go_on(**fields)

    def _wait_for_approval(self, **fields: Any) -> bool:
        change_transition(self.change, Status.AWAITING_APPROVAL, fence=self.agent.lease.fence, **fields)
        return True

    def _admit(self, **fields: Any) -> bool:
        fields["approved_hash"] = fields["plan_hash"]
        change_transition(self.change, Status.PLANNED, fence=self.agent.lease.fence, **fields)
        return self.change.status != Status.PLANNED

    def _admit_again(self, **fields: Any) -> bool:
        self.is_admitted = True
        Change.objects.filter(pk=self.change.pk, fence=self.agent.lease.fence).update(**fields)
        return self._begin_apply()

    def _learn_plan(self) -> None:
        """What the plan calls sensitive is masked in the log of its apply, also where another agent had it made."""
        plan = self.folder.stage(self.change.pk, "plan", self.attempt) / "plan.json"
        if plan.exists():
            self.redact.learn(plan_secrets(json.loads(plan.read_text())))

    def _begin_apply(self) -> bool:
        """Apply the saved plan if it is the approved one and still there; otherwise plan again."""
        if self.change.cancel_requested_at:
            return self._end(Status.CANCELLED)
        plan = self.folder.stage(self.change.pk, "plan", self.attempt) / "plan.bin"
        same_engine = self.agent.engine.accepts_plan_of(self.change.engine, self.change.engine_version)
        if not (same_engine and plan.exists() and plan_digest(plan) == self.change.approved_hash):
            return self._plan_again()
        if self.change.approved_at and not self.is_admitted:
            # Rules may have been switched on while it waited for a click.
            self.redact.learn(given_for(self.change).secrets)
            self._ask_rules(json.loads(plan.with_name("plan.json").read_text()), {}, self._admit_again)
            return False
        context_write(self.folder, self.agent.machine, self.change)
        if (self.change.plan or {}).get("empty") and self.change.kind != Change.Kind.REFRESH:
            return self._succeed()
        return not change_transition(self.change, Status.APPLYING, fence=self.agent.lease.fence, step="")

    def _plan_again(self) -> bool:
        self.attempt += 1
        if self.attempt > MOST_REPLANS:
            return self._fail("provisioning:plan-stale", "The plan was out of date each time it was to be applied.")
        if self.change.status == Status.PLANNING:
            return False
        return not change_transition(
            self.change,
            Status.PLANNING,
            fence=self.agent.lease.fence,
            step="Planning again",
            engine=self.agent.engine.kind,
            engine_version=self.agent.engine.version,
        )

    # The end ---------------------------------------------------------------------------------------------------------

    def _applied(self, result: StageResult) -> bool:
        if not result.ok:
            settling = Settling(self.agent.machine, str(self.workspace.pk), self.folder.work)
            self.settling = (settling, result)
            return False
        if state_is_too_large(self.folder.work):
            megabytes = self.folder.state.stat().st_size // 1024**2
            return self._fail("provisioning:state-too-large", f"The state has {megabytes} MB.")
        return self._succeed()

    def _tick_settling(self) -> bool:
        """The change ends when the machine is as the state says, so that what is offered next finds no surprise."""
        assert self.settling is not None
        settling, result = self.settling
        if not settling.done():
            return False
        self.settling = None
        return self._end_badly(result, "apply")

    def _succeed(self) -> bool:
        destroyed = self.change.kind == Change.Kind.DESTROY
        with transaction.atomic():
            if destroyed:
                Workspace.objects.filter(pk=self.workspace.pk).update(destroyed_at=Now())
            self._end(Status.APPLIED)
        if not destroyed:
            # Now that the outputs are known, what they add to the run context is as well.
            self.workspace.refresh_from_db()
            context_write(self.folder, self.agent.machine, self.change)
        else:
            self.agent.machine.purge_workspace(str(self.workspace.pk))
        return True

    def _end_badly(self, result: StageResult, phase: Phase) -> bool:
        if self.change.cancel_requested_at:
            return self._end(Status.CANCELLED)
        if result.passed:
            if result.passed == "disk":
                work_clear(self.folder)
            return self._fail(*self.bounds.said(result.passed, phase))
        if result.status == "lost":
            if phase == "plan" or self.never_began:
                return self._plan_again()
            if self._disk_full():
                return self._fail("provisioning:disk-full", "No space is left on the machine's disk.")
            return self._fail(
                "provisioning:terraform-lost",
                "Terraform was ended from outside; what it had finished is in the state.",
            )
        stage = self.folder.stage(self.change.pk, phase, self.attempt)
        found = [item for item in stage_diagnostics(stage) if item.severity == "error"]
        detail = self.redact("\n\n".join(f"{item.summary}\n{item.detail}".strip() for item in found))
        importing = phase == "plan" and bool(self.change.imports)
        code = failure_code(detail, exit_code=result.exit_code, importing=importing)
        if code == LOST and phase == "plan":
            # Nothing had been changed yet.
            return self._plan_again()
        if code == UNKNOWN and self._disk_full():
            # Where nothing can be written, nobody can write down why.
            code = "provisioning:disk-full"
        if code in REPLANNED and phase == "apply":
            return self._plan_again()
        summary = self.redact(found[0].summary) if found else f"Terraform ended with exit code {result.exit_code}."
        return self._fail(code, summary, detail)

    @property
    def terraform_runs(self) -> bool:
        return self.handle is not None and self.handle.alive()

    def close(self) -> None:
        """After something broke: keep what Terraform had done, forget plan and values."""
        self.folder.forget_change(self.change.pk)
        self.following.ship_state()

    def _fail(self, code: str, summary: str, detail: str = "") -> bool:
        with transaction.atomic():
            self._store_state()
            change_fail(self.change, code=code, summary=summary, detail=detail, fence=self.agent.lease.fence)
        self.folder.forget_change(self.change.pk)
        return True

    def _end(self, status: str, **fields: Any) -> bool:
        with transaction.atomic():
            self._store_state()
            change_transition(self.change, status, fence=self.agent.lease.fence, step="", **fields)
        self.folder.forget_change(self.change.pk)
        return True

    def _store_state(self) -> None:
        self.following.ship_state()
        fields = state_fields(
            self.folder,
            self.change,
            apply_log=self.folder.stage(self.change.pk, "apply", self.attempt) / "log.jsonl",
            lease=self.agent.lease,
            secrets=self.redact.secrets,
        )
        if not fields:
            return
        fields["engine"] = self.agent.engine.kind
        if self.change.status == Status.APPLYING or self.change.kind == Change.Kind.CREATE:
            fields["module_version"] = self.change.module_version
        Workspace.objects.filter(pk=self.workspace.pk).update(**fields)

    # Small things ----------------------------------------------------------------------------------------------------

    def _disk_full(self) -> bool:
        return shutil.disk_usage(self.folder.root).free < FULL_BYTES

    def _sensitive_inputs(self) -> list[Any]:
        variables = self.interface.get("variables", [])
        return [self.values.get(v["name"]) for v in variables if v.get("sensitive")]

    def _last_attempt(self) -> int:
        """Planning again makes a new pair of stage folders; after a restart the newest counts."""
        changes = self.folder.root / "changes" / str(self.change.pk)
        return max(1, len([path for path in changes.glob("plan*") if path.is_dir()]))
