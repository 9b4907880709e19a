"""Cloning a person's Git repository into a new volume: inside the isolation of a service, never as the agent."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from .errors import InvalidRequest, MachineError
from .files import directory_private, text_write
from .sandboxes import Sandboxes
from .trees import tree_remove

CLONE_SECONDS = 600
LOOK_EVERY_S = 0.5
_SCP_LIKE = re.compile(r"git@[A-Za-z0-9][A-Za-z0-9.-]*:(?!/)[^\s]+\Z")
# Where the machine reaches Git servers only through a proxy or with a certificate of its own.
_ENVIRONMENT = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "GIT_SSL_CAINFO")


def repository_checked(url: str, *, allow_file: bool) -> str:
    """`url` if it is a kind of Git address people may give, else InvalidRequest."""
    schemes = {"https", "http", "ssh"} | ({"file"} if allow_file else set())
    parts = urlsplit(url)
    by_scheme = parts.scheme in schemes and (parts.hostname or parts.scheme == "file")
    host_safe = not (parts.hostname or "").startswith("-")
    printable = url.isprintable() and not any(letter.isspace() for letter in url)
    if len(url) <= 2048 and printable and ((by_scheme and host_safe) or _SCP_LIKE.match(url)):
        return url
    raise InvalidRequest(
        "The repository's address must begin with https://, http://, ssh:// or git@.",
        code="machine:invalid-repository",
    )


def repository_folder(url: str) -> str:
    """The folder a repository is cloned into: the last part of its address, as git would name it."""
    last = re.split(r"[/:]", url.rstrip("/"))[-1].removesuffix(".git")
    return re.sub(r"[^A-Za-z0-9._-]", "-", last).lstrip(".-")[:100] or "repository"


def repository_clone(
    sandboxes: Sandboxes, workspace_id: str, *, url: str, home: Path, private: Path, full: Callable[[], str]
) -> str:
    """Clone `url` below `home` and return the commit checked out; MachineError with git's last lines otherwise.

    `full` is asked again and again; what it answers is why the clone is ended.
    """
    if shutil.which("git", path="/usr/local/bin:/usr/bin:/bin") is None:
        raise MachineError("Git is not installed on this machine, so the repository cannot be cloned.", status=422)
    directory_private(private)
    read: tuple[Path, ...] = ()
    gitconfig = private / "gitconfig"
    parts = urlsplit(url)
    text_write(gitconfig, "[safe]\n\tdirectory = *\n" if parts.scheme == "file" else "", mode=0o644)
    if parts.scheme == "file":
        read = (Path(os.path.realpath(parts.path)),)
    sandbox = sandboxes.make(workspace_id, home=home, private=private, read=read, gitconfig=gitconfig)
    isolation = sandboxes.isolation
    folder = repository_folder(url)
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": isolation.home_seen(home),
        "TMPDIR": isolation.scratch_seen(sandbox.scratch),
        "LANG": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:file" if parts.scheme == "file" else "https:http:ssh",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new",
        **{name: os.environ[name] for name in (*_ENVIRONMENT, *_CERTIFICATES) if os.environ.get(name)},
    }
    if not isolation.has_namespaces:
        environment["GIT_CONFIG_SYSTEM"] = str(gitconfig)
    try:
        _git(isolation.command(sandbox, ["git", "clone", "--", url, folder]), environment, url, full)
        return _git(
            isolation.command(sandbox, ["git", "-C", folder, "rev-parse", "--verify", "-q", "HEAD"]), environment
        )
    finally:
        tree_remove(private)


def _git(
    command: list[str], environment: dict[str, str], url: str | None = None, full: Callable[[], str] | None = None
) -> str:
    """Run git; with `url` (a clone) failure is an error, without it an empty answer (a repository without commits)."""
    with tempfile.TemporaryFile("w+", errors="replace") as output, tempfile.TemporaryFile("w+") as answer:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
        try:
            _wait(process, full)
        finally:
            # Whatever git left: in bubblewrap all of it ends with the first process.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        answer.seek(0)
        said, errors = answer.read(), output.read()
    if process.returncode and url:
        address = _without_credentials(url)
        lines = [line.replace(url, address) for line in errors.splitlines()[-30:]]
        raise MachineError(
            f"The repository {address} could not be cloned. Check the address, and that this machine may read it.",
            code="machine:clone-failed",
            status=422,
            log=lines,
        )
    return said.strip() if not process.returncode else ""


def _wait(process: subprocess.Popen[bytes], full: Callable[[], str] | None) -> None:
    deadline = time.monotonic() + CLONE_SECONDS
    while process.poll() is None:
        if full and (why := full()):
            raise MachineError(f"The repository was not cloned: {why}.", code="machine:volume-full", status=422)
        if time.monotonic() > deadline:
            raise MachineError(
                f"Cloning the repository took longer than {CLONE_SECONDS // 60} minutes and was ended.",
                code="machine:clone-failed",
                status=422,
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_EVERY_S)


def _without_credentials(url: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", url)
