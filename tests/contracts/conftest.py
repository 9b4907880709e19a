"""Every engine of this machine, a workspace as the agent lays it out, and a stand-in for its socket."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from apps.provisioning.engine import Engine, PlanOptions, engines_available
from apps.provisioning.stage import StageHandle, StageResult, stage_diagnostics, stage_start
from apps.provisioning.terraform_sandbox import SandboxSpec
from terraform.providers.local.install import install_mirror
from tests.terraform.fake_agent import FakeAgent

ENGINES = engines_available(os.environ)


@pytest.fixture(params=ENGINES, ids=lambda engine: f"{engine.source}-{engine.kind}")
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.param


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("plugins")
    install_mirror(directory)
    return directory


@pytest.fixture
def agent() -> Iterator[FakeAgent]:
    """Below a short path: the address of a unix socket holds 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="slipway-test-"))
    server = FakeAgent(directory / "agent.sock")
    yield server
    server.close()
    shutil.rmtree(directory)


@dataclass
class Bench:
    """One workspace. `run` is a phase from start to end; `stages` are killed when the test is over."""

    engine: Engine
    root: Path
    sandbox: SandboxSpec
    token: str
    environ: dict[str, str]
    stages: list[StageHandle] = field(default_factory=list)

    @property
    def work(self) -> Path:
        return self.root / "work"

    def module(self, text: str) -> None:
        (self.work / "main.tf").write_text(text)

    def stage_dir(self, name: str) -> Path:
        return self.root / "changes" / "c" / name

    def start(self, name: str, phase: str = "", **options: Any) -> StageHandle:
        if "plan" in options:
            options["plan"] = self.stage_dir(options["plan"]) / "plan.bin"
        handle = stage_start(
            options.pop("engine", self.engine),
            work=self.work,
            stage_dir=self.stage_dir(name),
            phase=phase or name,  # type: ignore[arg-type]
            sandbox=self.sandbox,
            environ=self.environ,
            agent_token=self.token,
            **options,
        )
        self.stages.append(handle)
        return handle

    def run(self, name: str, phase: str = "", **options: Any) -> StageResult:
        result = self.start(name, phase, **options).wait(60)
        assert result is not None, "the stage did not end"
        return result

    def succeed(self, name: str, phase: str = "", **options: Any) -> StageResult:
        result = self.run(name, phase, **options)
        assert result.ok, (result, stage_diagnostics(self.stage_dir(name)), self.said(name))
        return result

    def apply(self, tag: str = "", *, destroy: bool = False) -> StageResult:
        self.succeed(f"plan{tag}", "plan", options=PlanOptions(destroy=destroy))
        return self.run(f"apply{tag}", "apply", plan=f"plan{tag}")

    def said(self, name: str) -> str:
        """Everything a stage wrote, for a failed assertion to show."""
        files = sorted(self.stage_dir(name).glob("*"))
        return "\n".join(path.read_text("utf-8", "replace") for path in files if path.suffix in (".err", ".jsonl"))


@pytest.fixture
def bench(engine: Engine, plugins: Path, agent: FakeAgent, tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "workspace" / "work").mkdir(parents=True, mode=0o700)
    made = Bench(
        engine=engine,
        root=tmp_path / "workspace",
        sandbox=SandboxSpec(plugins=plugins, agent_socket=agent.socket_path, hidden=(tmp_path,)),
        token=agent.token,
        environ=dict(os.environ),
    )
    yield made
    for handle in made.stages:
        handle.kill()
        handle.wait(10)
