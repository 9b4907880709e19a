"""The checks of a module version, one after another in a folder of their own, in the sandbox of stages.

They are given no credentials: nobody has looked at the module yet. Where a provider wants some for the trial plan,
Terraform's own stand-ins take its place.
"""

import json
import logging
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apps.catalog.examples import example_values
from apps.catalog.models import ModuleVersion, VersionCheck
from apps.catalog.services import module_archive_extract
from apps.catalog.services.claims import Claimant, check_claim, check_done
from apps.provisioning.agent.check_words import (
    first_error,
    missing_provider,
    tests_told,
    unformatted_files,
    validate_report,
    wants_credentials,
)
from apps.provisioning.agent.sandboxed import Ran, sandboxed_run
from apps.provisioning.engine import (
    Engine,
    format_check_command,
    init_stateless_command,
    module_test_command,
    trial_plan_command,
    validate_command,
)
from apps.provisioning.machine import Machine
from apps.provisioning.terraform_environment import (
    certificate_paths,
    environment_build,
    mirrors_found,
    rc_text,
    scratch_make,
)
from apps.provisioning.terraform_sandbox import (
    SANDBOX_TMP,
    SandboxSpec,
    interpreter_paths,
    provider_paths,
    sandbox_prefix,
)

log = logging.getLogger(__name__)

C, Name = VersionCheck.Status, VersionCheck.Name
SECONDS = {"fmt": 60.0, "init": 300.0, "validate": 120.0, "test": 900.0, "plan": 300.0}
WORK_BYTES = 2 * 2**30
STAND_INS = ".slipway-trial"
TESTS = ("*.tftest.hcl", "*.tftest.json", "tests/*.tftest.hcl", "tests/*.tftest.json")


class Stopping(Exception):
    """The agent ends; whoever comes next runs the check again."""


@dataclass(frozen=True)
class Outcome:
    status: str
    summary: str
    output: str


class Checking:
    """Runs one version's checks after another; `look()` returns when none is in line."""

    def __init__(
        self, *, root: Path, machine: Machine, engine: Engine, sandbox: SandboxSpec, environ: Mapping[str, str],
        claimant: Claimant, stopping: threading.Event,
    ) -> None:  # fmt: skip
        self.folder = root / "checks"
        self.machine = machine
        self.engine = engine
        self.sandbox = sandbox
        self.environ = environ
        self.claimant = claimant
        self.stopping = stopping

    def clear(self) -> None:
        """What an agent left that was killed in the middle, and what tests had made on the machine."""
        for left in sorted(self.folder.glob("*")):
            self._forget(left.name)

    def look(self) -> None:
        while not self.stopping.is_set() and (check := check_claim(self.claimant)):
            self._version(check)

    def _version(self, first: VersionCheck) -> None:
        """This check and all later ones of its version, which need what the earlier ones prepare."""
        version = first.version
        try:
            trial = Trial(self, version, self.folder / str(version.pk))
            check: VersionCheck | None = first
            while check is not None:
                self._carry_out(trial, check)
                check = None if self.stopping.is_set() else check_claim(self.claimant, of=version.pk)
        except Stopping:
            return
        finally:
            self._forget(str(version.pk))

    def _carry_out(self, trial: "Trial", check: VersionCheck) -> None:
        try:
            outcome = trial.run(check.name)
        except Stopping:
            raise
        except Exception:
            log.exception("check %s of %s", check.name, check.version)
            outcome = Outcome(C.FAILED, "Something broke inside Slipway. Run the checks again.", "")
        check_done(
            check, self.claimant, status=outcome.status, summary=outcome.summary, output=outcome.output,
            engine=self.engine.label,
        )  # fmt: skip

    def _forget(self, name: str) -> None:
        try:
            self.machine.purge_workspace(name)
        except ValueError:
            log.warning("%s is no folder of checks", name)
        shutil.rmtree(self.folder / name, ignore_errors=True)


class Trial:
    """A version's files in a folder of their own, and Terraform run over them."""

    def __init__(self, agent: Checking, version: ModuleVersion, place: Path) -> None:
        self.agent = agent
        self.version = version
        self.place = place
        self.work = place / "work"
        self.init: Outcome | None = None
        shutil.rmtree(place, ignore_errors=True)
        (self.work / ".home").mkdir(mode=0o700, parents=True)
        module_archive_extract(version, self.work)

    def run(self, name: str) -> Outcome:
        steps = {Name.FORMAT: self._format, Name.VALIDATE: self._validate, Name.TEST: self._test, Name.PLAN: self._plan}
        return steps[Name(name)]()

    def _format(self) -> Outcome:
        ran = self._terraform(format_check_command(self.agent.engine), "fmt")
        if ran.ok:
            return Outcome(C.PASSED, "Every file is formatted as Terraform wants it.", "")
        if files := unformatted_files(ran.output):
            named = ", ".join(files[:8]) + (f" and {len(files) - 8} more" if len(files) > 8 else "")
            return Outcome(C.FAILED, f"Not formatted: {named}. Run `terraform fmt -recursive`.", ran.output)
        return self._failed(ran)

    def _validate(self) -> Outcome:
        if (unready := self._initialised()) is not None:
            return unready
        ran = self._terraform(validate_command(self.agent.engine), "validate")
        if ran.ended:
            return self._failed(ran)
        problems, text = validate_report(ran.output)
        if ran.ok and not problems:
            return Outcome(C.PASSED, "Terraform takes it as a valid module.", text)
        return Outcome(C.FAILED, problems[0] if problems else first_error(ran.output), text or ran.output)

    def _test(self) -> Outcome:
        if not any(True for pattern in TESTS for _ in self.work.glob(pattern)):
            return Outcome(C.SKIPPED, "The module has no tests (*.tftest.hcl).", "")
        if (unready := self._initialised()) is not None:
            return unready
        ran = self._terraform(module_test_command(self.agent.engine), "test")
        summary = tests_told(ran.output)
        if ran.ok:
            return Outcome(C.PASSED, summary or "All tests passed.", ran.output)
        failed = self._failed(ran)
        return Outcome(C.FAILED, f"{summary} {failed.summary}".strip(), ran.output)

    def _plan(self) -> Outcome:
        interface = self.version.parsed()
        values, errors = example_values(interface)
        if errors:
            name, messages = next(iter(errors.items()))
            cure = "Give it a value under `examples` in module.yaml."
            return Outcome(
                C.FAILED, f"No example value for “{name}”: {messages[0]} {cure}", json.dumps(errors, indent=1)
            )
        if (unready := self._initialised()) is not None:
            return unready
        (self.work / "terraform.tfvars.json").write_text(json.dumps(values))
        ran = self._terraform(trial_plan_command(self.agent.engine), "plan")
        if ran.ok:
            return Outcome(C.PASSED, "A plan with the example inputs was made; nothing was built.", ran.output)
        if not ran.ended and wants_credentials(ran.output):
            return self._plan_with_stand_ins(sorted(interface.required_providers), ran)
        return self._failed(ran)

    def _plan_with_stand_ins(self, providers: list[str], before: Ran) -> Outcome:
        folder = self.work / STAND_INS
        folder.mkdir(mode=0o700)
        mocks = "".join(f'mock_provider "{name}" {{}}\n' for name in providers if name.isidentifier())
        (folder / "trial.tftest.hcl").write_text(f'{mocks}\nrun "plan" {{\n  command = plan\n}}\n')
        ran = self._terraform(module_test_command(self.agent.engine, folder=STAND_INS), "plan")
        output = f"{before.output}\n--- again, with stand-ins for the providers ---\n{ran.output}"
        if ran.ok:
            summary = "A plan was made with stand-ins for the providers: checks are given no credentials."
            return Outcome(C.PASSED, summary, output)
        return Outcome(C.FAILED, self._failed(ran).summary, output)

    def _initialised(self) -> Outcome | None:
        """Why Terraform cannot work with the module; None where it can. Done once for all checks."""
        if self.init is None:
            ran = self._terraform(init_stateless_command(self.agent.engine), "init")
            self.init = Outcome(C.PASSED, "", "") if ran.ok else self._failed(ran)
        return None if self.init.status == C.PASSED else self.init

    def _failed(self, ran: Ran) -> Outcome:
        if ran.ended == "time":
            summary = f"It took longer than {ran.seconds / 60:.0f} min and was ended."
        elif ran.ended == "output":
            summary = "It wrote more than 32 MB and was ended."
        elif ran.ended == "size":
            summary = f"It wrote more than {WORK_BYTES // 2**30} GB of files and was ended."
        elif provider := missing_provider(ran.output):
            summary = (
                f"The provider {provider} is in no mirror of this machine and could not be downloaded. Put it into a "
                "mirror (SLIPWAY_TF_MIRROR) or let the machine reach its registry, then run the checks again."
            )
        else:
            summary = first_error(ran.output)
        return Outcome(C.FAILED, summary, ran.output)

    def _terraform(self, argv: list[str], step: str) -> Ran:
        agent, spec = self.agent, self.agent.sandbox
        mode = spec.resolved()
        mirrors = mirrors_found(agent.environ, spec.plugins.resolve())
        rc = self.place / "terraform.rc"
        rc.write_text(rc_text(mirrors))
        scratch = None if mode == "bubblewrap" else scratch_make()
        try:
            environment = environment_build(agent.environ, work=self.work, rc=rc, scratch=scratch or Path(SANDBOX_TMP))
            environment |= self._machine()
            prefix = sandbox_prefix(
                mode,
                readable=[
                    rc,
                    *interpreter_paths(),
                    *provider_paths(),
                    *agent.engine.visible,
                    *mirrors,
                    *spec.readable,
                    *([spec.agent_socket.resolve().parent] if spec.agent_socket else []),
                    *certificate_paths(environment),
                ],
                writable=[self.work, *([scratch] if scratch else [])],
                hidden=spec.hidden,
                work=self.work,
            )
            ran = sandboxed_run(
                [*prefix, *argv],
                environment=environment,
                folder=self.work,
                seconds=SECONDS[step],
                stopping=agent.stopping,
                watch=self._too_large,
            )
        finally:
            if scratch is not None:
                shutil.rmtree(scratch, ignore_errors=True)
        if ran.ended == "stopping":
            raise Stopping
        return ran

    def _machine(self) -> dict[str, str]:
        """The machine as a workspace of its own, which is emptied afterwards: tests may really build something."""
        if self.agent.sandbox.agent_socket is None:
            return {}
        return {
            "SLIPWAY_AGENT_SOCKET": str(self.agent.sandbox.agent_socket.resolve()),
            "SLIPWAY_AGENT_TOKEN": self.agent.machine.environment_token(str(self.version.pk)),
            "SLIPWAY_AGENT_PATIENCE_S": "10",
        }

    def _too_large(self) -> str:
        used = 0
        for path in self.work.rglob("*"):
            try:
                used += path.lstat().st_size
            except OSError:
                continue
        return "size" if used > WORK_BYTES else ""
