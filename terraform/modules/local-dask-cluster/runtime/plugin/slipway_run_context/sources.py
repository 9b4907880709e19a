"""Where the tags come from: the context file and git. Knows nothing of MLflow."""

import json
import os
import subprocess
import time
from urllib.parse import urlsplit, urlunsplit

SECONDS = 2.0
# Left by Jupyter and by MLflow itself in the folder people work in.
NOT_CODE = ["**/.ipynb_checkpoints/**", "mlruns/**", "mlartifacts/**", "**/__pycache__/**"]


def context_tags(path: str | None) -> dict[str, str]:
    """The context file's texts; empty where there is no readable file."""
    if not path:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
    except (OSError, ValueError):
        return {}
    if not isinstance(said, dict):
        return {}
    return {key: str(value) for key, value in said.items() if key.startswith("slipway.") and value not in (None, "")}


def git_tags(folder: str) -> dict[str, str]:
    """Commit, dirty, branch and address of the working tree that `folder` lies in; empty outside of one."""
    deadline = time.monotonic() + SECONDS
    commit = _git(["rev-parse", "--verify", "HEAD"], folder, deadline)
    if not commit:
        return {}
    found = {"slipway.git.commit": commit, "mlflow.source.git.commit": commit}
    address = without_credentials(_git(["config", "--get", "remote.origin.url"], folder, deadline) or "")
    if address:
        found.update({"slipway.git.repository": address, "mlflow.source.git.repoURL": address})
    branch = _git(["symbolic-ref", "--short", "--quiet", "HEAD"], folder, deadline)
    if branch:
        found.update({"slipway.git.branch": branch, "mlflow.source.git.branch": branch})
    excluded = [":(top,exclude,glob)" + pattern for pattern in NOT_CODE]
    changes = _git(["status", "--porcelain", "--", ":(top)", *excluded], folder, deadline)
    if changes is not None:
        found["slipway.git.dirty"] = "true" if changes else "false"
    return found


def _git(arguments: list[str], folder: str, deadline: float) -> str | None:
    """What git prints; None where it fails, is missing, or takes too long."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=max(0.05, deadline - time.monotonic()),
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def without_credentials(address: str) -> str:
    """`https://user:token@host/x?private_token=y` becomes `https://host/x`; `git@host:x` stays."""
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        user = parts.username or ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") and user:
        host = user + "@" + host
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
