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
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .errors import InvalidRequest, MachineError
from .files import directory_private, text_write
from .sandboxes import Sandboxes
from .trees import tree_remove

CLONE_SECONDS = 600
LOOK_EVERY_S = 0.5
_SCP_LIKE = re.compile(r"git@[A-Za-z0-9][A-Za-z0-9.-]*:(?!/)[^\s]+\Z")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}\Z")
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


def revision_checked(revision: str) -> str:
    """`revision` if it can only name a commit, tag or branch, never an option of git's, else InvalidRequest."""
    if _REVISION.match(revision) and ".." not in revision:
        return revision
    raise InvalidRequest(
        "A revision is a commit, a tag or a branch: letters, digits and _ . / + - only.",
        code="machine:invalid-revision",
    )


def repository_folder(url: str) -> str:
    """The folder a repository is cloned into: the last part of its address, as git would name it."""
    last = re.split(r"[/:]", url.rstrip("/"))[-1].removesuffix(".git")
    return re.sub(r"[^A-Za-z0-9._-]", "-", last).lstrip(".-")[:100] or "repository"


def repository_clone(
    sandboxes: Sandboxes,
    workspace_id: str,
    *,
    url: str,
    home: Path,
    private: Path,
    full: Callable[[], str],
    revision: str = "",
) -> str:
    """Clone `url` below `home`, check `revision` out where one is given, and return the commit that is checked out.

    `full` is asked again and again; what it answers is why the clone is ended. MachineError with git's last lines where
    the clone fails or the repository has no such revision.
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

    def git(*arguments: str) -> Git:
        return _git(isolation.command(sandbox, ["git", *arguments]), environment, full)

    try:
        cloned = git("clone", "--", url, folder)
        if not cloned.done:
            sentence = "could not be cloned. Check the address, and that this machine may read it."
            raise _clone_error(url, sentence, cloned.errors)
        if revision:
            _check_out(lambda *arguments: git("-C", folder, *arguments), url, revision)
        head = git("-C", folder, "rev-parse", "--verify", "-q", "HEAD")
        return head.answer if head.done else ""  # A repository without commits has none.
    finally:
        tree_remove(private)


def _check_out(git: Callable[..., "Git"], url: str, revision: str) -> None:
    """The branch, tag or commit; a commit that no branch leads to any more is asked for by its name."""
    checked = git("checkout", revision, "--")
    if not checked.done and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", revision):
        fetched = git("fetch", "origin", revision)
        checked = git("checkout", "--detach", revision, "--") if fetched.done else fetched
    if not checked.done:
        sentence = f"has no revision {revision}: no commit, tag or branch of that name. Nothing was kept of it."
        raise _clone_error(url, sentence, checked.errors, code="machine:revision-not-found")


def _clone_error(url: str, sentence: str, errors: str, *, code: str = "machine:clone-failed") -> MachineError:
    address = _without_credentials(url)
    lines = [line.replace(url, address) for line in errors.splitlines()[-30:]]
    return MachineError(f"The repository {address} {sentence}", code=code, status=422, log=lines)


@dataclass(frozen=True)
class Git:
    """What one git command said."""

    done: bool
    answer: str
    errors: str


def _git(command: list[str], environment: dict[str, str], full: Callable[[], str]) -> Git:
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
        return Git(process.returncode == 0, answer.read().strip(), output.read())


def _wait(process: subprocess.Popen[bytes], full: Callable[[], str]) -> None:
    deadline = time.monotonic() + CLONE_SECONDS
    while process.poll() is None:
        if why := full():
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
