"""bandit, semgrep with our own rules, and what is known of the locked packages' vulnerabilities.

The tools are installed beside ours, in `.venv/tools/security` from `requirements-security.lock`, because they want
other versions of packages that we use. What they find fails, unless `scripts/security.toml` says why it is none; an
exception that nothing needs any more fails as well. Where no source of advisories can be asked, that is said and fails
nothing.
"""

import fnmatch
import json
import os
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packages import tools_ensure
from steps import ROOT, VENV, StepFailed

EXCEPTIONS = ROOT / "scripts" / "security.toml"
RULES = ROOT / "scripts" / "semgrep"
CODE = ("apps", "portal", "scripts", "terraform/providers", "bench", "manage.py")
PAGES = ("templates", "static/portal")
LOCKS = ("requirements.lock", "requirements-dev.lock")
# Asserts only narrow types; commands are lists without a shell (see the same choice for ruff in pyproject.toml).
# What bandit takes for passwords by their variable's name is ruff's S105 to S107, which knows names better.
BANDIT_SKIPS = "B101,B105,B106,B107,B404,B603,B606,B607"
ADVISORY_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """`rule` reads "bandit:B608" or "semgrep:sql-formatted", or is an advisory's id; `code` is what it is about."""

    rule: str
    path: str
    line: int
    code: str
    text: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return (
            f"{place}: {self.rule}: {self.text}\n    {self.code.strip().splitlines()[0] if self.code.strip() else ''}"
        )


@dataclass(frozen=True)
class Accepted:
    """Why a finding is none. `path` may hold wildcards; `code` is a part of the lines it is about."""

    rule: str
    path: str
    reason: str
    code: str = ""

    def covers(self, finding: Finding) -> bool:
        return finding.rule == self.rule and fnmatch.fnmatch(finding.path, self.path) and self.code in finding.code


def security_check() -> int:
    """Runs all of it and prints what came out; how many of the checks failed."""
    started = time.monotonic()
    print("Checking security ... ", end="", flush=True)
    try:
        tools = tools_ensure()
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(check, tools) for check in (_bandit, _semgrep, _pip_audit, _npm_audit)]
            results = [one.result() for one in asked]
    except StepFailed as error:
        print(f"failed\n{error}", flush=True)
        return 1
    findings = [finding for found, _ in results for finding in found]
    accepted = exceptions_read(EXCEPTIONS)
    left = [finding for finding in findings if not any(one.covers(finding) for one in accepted)]
    unused = [one for one in accepted if not any(one.covers(finding) for finding in findings)]
    print(f"{time.monotonic() - started:.1f} s" if not left and not unused else "failed", flush=True)
    for _, notes in results:
        for note in notes:
            print(f"    {note}", flush=True)
    for finding in left:
        print(finding, flush=True)
    # An advisory that could not be asked for this time may come back the next.
    for one in [one for one in unused if one.rule.startswith(("bandit:", "semgrep:"))]:
        print(f"{EXCEPTIONS.name}: nothing needs the exception for {one.rule} in {one.path} any more", flush=True)
        left.append(one)
    return 1 if left else 0


def exceptions_read(path: Path) -> list[Accepted]:
    """Raises StepFailed where one has no reason."""
    found = [Accepted(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("exception", [])]
    for one in found:
        if len(one.reason.split()) < 3:
            raise StepFailed(f"{path.name}: the exception for {one.rule} in {one.path} does not say why.")
    return found


def _bandit(tools: Path) -> tuple[list[Finding], list[str]]:
    command = [tools / "bin" / "python", "-m", "bandit", "-q", "-r", *CODE, "-f", "json", "-s", BANDIT_SKIPS]
    told = _json_of([*command, "-x", "scripts/semgrep"], codes=(0, 1))
    found = [
        Finding(
            f"bandit:{row['test_id']}",
            row["filename"].removeprefix("./"),
            row["line_number"],
            _lines(row["filename"], row["line_range"][0], row["line_range"][-1]),
            row["issue_text"],
        )
        for row in told["results"]
    ]
    if told["errors"]:
        raise StepFailed(f"bandit could not read: {told['errors']}")
    # ruff has the same rules under S instead of B: what is answered for it, beside the code, is answered.
    return [one for one in found if f"noqa: S{one.rule.removeprefix('bandit:B')}" not in one.code], []


def _semgrep(tools: Path) -> tuple[list[Finding], list[str]]:
    where = [name for name in (*CODE, *PAGES) if (ROOT / name).exists()]
    command = [tools / "bin" / "semgrep", "scan", "--config", RULES, "--metrics=off", "--disable-version-check"]
    command += ["--quiet", "--json", "--no-git-ignore", "--exclude", "scripts/semgrep", "-j", "2", *where]
    told = _json_of(command, codes=(0, 1), tools=tools)
    if serious := [error for error in told["errors"] if error.get("level") == "error"]:
        raise StepFailed(f"semgrep: {serious}")
    found = []
    for row in told["results"]:
        first, last = row["start"]["line"], row["end"]["line"]
        rule = row["check_id"].rpartition(".")[2]
        found.append(
            Finding(f"semgrep:{rule}", row["path"], first, _lines(row["path"], first, last), row["extra"]["message"])
        )
    return found, []


def semgrep_test(tools: Path) -> str:
    """semgrep's own test of the rules against their examples; its last words."""
    command = [tools / "bin" / "semgrep", "scan", "--test", "--metrics=off", "--disable-version-check", RULES]
    done = _run(command, tools=tools)
    if done.returncode:
        raise StepFailed(f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def _pip_audit(tools: Path) -> tuple[list[Finding], list[str]]:
    """Asks PyPI, then OSV. Both answer for each package by itself, so a source counts only if it knew some."""
    notes = []
    lock = LOCKS[-1] if (ROOT / LOCKS[-1]).exists() else LOCKS[0]
    for service, name in (("pypi", "PyPI"), ("osv", "OSV")):
        command = [tools / "bin" / "python", "-m", "pip_audit", "--disable-pip", "--require-hashes", "-r", lock]
        command += ["-s", service, "-f", "json", "--progress-spinner", "off", "--timeout", "5"]
        try:
            done = _run(command, seconds=ADVISORY_SECONDS, tools=tools)
            rows = json.loads(done.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, ValueError, KeyError):
            notes.append(f"Known vulnerabilities: {name} could not be asked from here")
            continue
        known = [row for row in rows if "skip_reason" not in row]
        if not known:
            notes.append(f"Known vulnerabilities: {name} told nothing of any of {len(rows)} packages in {lock}")
            continue
        notes = [f"Known vulnerabilities: {name} told of {len(known)} of {len(rows)} packages in {lock}"]
        return [finding for row in known for finding in _advisories(row, lock)], notes
    notes.append(f"Known vulnerabilities: no source of advisories was reached, so nothing is known of {lock}")
    return [], notes


def _advisories(row: dict, lock: str) -> list[Finding]:
    code = f"{row['name']}=={row['version']}"
    return [Finding(one["id"], lock, 0, code, f"fixed in {one['fix_versions']}") for one in row["vulns"]]


def _npm_audit(tools: Path) -> tuple[list[Finding], list[str]]:
    npm = VENV / "bin" / "npm"
    if not npm.exists():
        return [], ["Known vulnerabilities: npm is not installed, so package-lock.json was not looked at"]
    try:
        done = _run([npm, "audit", "--package-lock-only", "--json"], seconds=ADVISORY_SECONDS, tools=VENV)
        told = json.loads(done.stdout or "{}")
    except (subprocess.TimeoutExpired, ValueError):
        told = {}
    if "vulnerabilities" not in told:
        return [], ["Known vulnerabilities: npm's registry told nothing, so nothing is known of package-lock.json"]
    found = [
        Finding(f"npm:{name}", "package-lock.json", 0, name, f"{row.get('severity')}: {row.get('range')}")
        for name, row in told["vulnerabilities"].items()
    ]
    return found, [f"Known vulnerabilities: npm's registry told of {len(found)} in package-lock.json"]


def _json_of(command: list, *, codes: tuple[int, ...], tools: Path | None = None) -> dict:
    done = _run(command, tools=tools)
    if done.returncode not in codes:
        raise StepFailed(f"{Path(command[0]).name} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout)


def _run(command: list, *, seconds: int = 300, tools: Path | None = None) -> subprocess.CompletedProcess:
    environ = {**os.environ, "SEMGREP_SEND_METRICS": "off", "SEMGREP_ENABLE_VERSION_CHECK": "0"}
    if tools is not None:
        environ["PATH"] = f"{tools / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
    )


def _lines(path: str, first: int, last: int) -> str:
    """The lines of a finding, with the rest of the statement's last line."""
    return "\n".join((ROOT / path).read_text(encoding="utf-8").splitlines()[first - 1 : last])


if __name__ == "__main__":
    sys.exit(security_check())
