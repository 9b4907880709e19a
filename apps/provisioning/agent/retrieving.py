"""Getting modules from Git, in the sandbox of stages: an address, a branch and a folder become a draft version.

The credential reaches git by a file or its environment, never by an argument or a stored address. What is fetched is
only read: no hooks, no filters, no submodules, nothing of the repository is run.
"""

import logging
import re
import shlex
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from apps.catalog.exceptions import ModuleVersionTaken
from apps.catalog.interface import ModuleInvalid
from apps.catalog.interface.problems import did_you_mean
from apps.catalog.models import ModuleRetrieval, ModuleSource
from apps.catalog.services import module_version_register, source_credential
from apps.catalog.services.claims import Claimant, retrieval_claim, retrieval_done, retrieval_fail
from apps.catalog.services.sources import known_hosts_remember
from apps.core.exceptions import UserError
from apps.provisioning.agent.sandboxed import Ran, sandboxed_run
from apps.provisioning.terraform_environment import certificate_paths
from apps.provisioning.terraform_sandbox import SandboxSpec, interpreter_paths, sandbox_prefix

log = logging.getLogger(__name__)

LIST_SECONDS = 60
FETCH_SECONDS = 300
REPOSITORY_BYTES = 500 * 2**20
PASSED_ON = (
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
)  # fmt: skip
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SHORT_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# A token for a web server: the user name that GitHub, GitLab and Bitbucket all take.
HELPER = '!f() { test "$1" = get && echo username=x-token-auth && echo "password=$SLIPWAY_GIT_TOKEN"; }; f'
REFUSED = re.compile(
    r"authentication failed|permission denied|could not read username|terminal prompts disabled|403|401"
    r"|access denied|invalid (username|credentials)|load key|repository not found",
    re.IGNORECASE,
)
NOT_THERE = re.compile(r"^fatal: repository '.*' not found|does not appear to be a git repository", re.MULTILINE)
SHALLOW = re.compile(r"shallow|unadvertised|not our ref|does not support|filter", re.IGNORECASE)


class RetrievalFailed(Exception):
    """What a person has to mend; `field` is where."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


class Stopping(Exception):
    """The agent ends; whoever comes next does it again."""


class Retrieving:
    """Carries out one retrieval after another; `look()` returns when none is in line."""

    def __init__(
        self, *, root: Path, sandbox: SandboxSpec, environ: Mapping[str, str], claimant: Claimant,
        stopping: threading.Event,
    ) -> None:  # fmt: skip
        self.folder = root / "retrievals"
        self.sandbox = sandbox
        self.environ = environ
        self.claimant = claimant
        self.stopping = stopping

    def clear(self) -> None:
        """What an agent left that was killed in the middle: deploy keys may be among it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def look(self) -> None:
        while not self.stopping.is_set() and (retrieval := retrieval_claim(self.claimant)):
            self._carry_out(retrieval)

    def _carry_out(self, retrieval: ModuleRetrieval) -> None:
        place = self.folder / str(retrieval.pk)
        shutil.rmtree(place, ignore_errors=True)
        git = Git(self, retrieval.source, place)
        try:
            self._register(retrieval, git)
        except Stopping:
            return
        except RetrievalFailed as error:
            self._fail(retrieval, error.field, str(error), git)
        except ModuleInvalid as error:
            self._fail(retrieval, "module", str(error), git)
        except ModuleVersionTaken as error:
            self._fail(retrieval, "version", str(error), git)
        except UserError as error:
            self._fail(retrieval, "module", str(error), git)
        except Exception:
            log.exception("retrieval %s", retrieval.pk)
            problem = "Something broke inside Slipway. Try again, and report it if it happens again."
            self._fail(retrieval, "", problem, git)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _fail(self, retrieval: ModuleRetrieval, field: str, problem: str, git: "Git") -> None:
        retrieval_fail(retrieval, self.claimant, field=field, problem=problem, log=git.told, commit=git.commit)

    def _register(self, retrieval: ModuleRetrieval, git: "Git") -> None:
        source = retrieval.source
        git.prepare()
        module = git.fetch(retrieval.reference)
        version, is_new = module_version_register(
            path=module,
            slug=source.slug,
            actor=retrieval.requested_by,
            origin=source,
            source=git.words(retrieval.reference),
            commit=git.commit,
            version=retrieval.wanted_version,
        )
        known_hosts_remember(source, git.known_hosts())
        retrieval_done(retrieval, self.claimant, version=version, is_new=is_new, commit=git.commit, log=git.told)


@dataclass(frozen=True)
class Found:
    """A reference as the server has it: its full name (empty for a bare commit) and the commit."""

    name: str
    commit: str


class Git:
    """Git for one retrieval, below a folder of its own: `private` is read by git only, `work` is written."""

    def __init__(self, agent: Retrieving, source: ModuleSource, place: Path) -> None:
        self.agent = agent
        self.source = source
        self.private = place / "private"
        self.work = place / "work"
        self.commit = ""
        self.told = ""
        self.secret = ""

    # -- setting up --------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        if shutil.which("git", path=_path()) is None:
            raise RetrievalFailed("", "Git is not installed on the machine that runs the agent: install it there.")
        for folder in (self.private, self.work / ".home", self.work / "repository"):
            folder.mkdir(mode=0o700, parents=True)
        self.secret = source_credential(self.source)
        key = self.private / "key"
        key.touch(mode=0o600)
        (self.work / "known_hosts").write_text(self.source.known_hosts)
        if self.source.credential_kind == ModuleSource.Credential.DEPLOY_KEY:
            key.write_text(self.secret)

    def environment(self) -> dict[str, str]:
        environment = {name: self.agent.environ[name] for name in PASSED_ON if self.agent.environ.get(name)}
        environment |= {
            "PATH": _path(),
            "HOME": str(self.work / ".home"),
            "TMPDIR": str(self.work / ".home"),
            "LANG": "C.UTF-8",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https:http:ssh",
            "GIT_SSH_COMMAND": self._ssh(),
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }
        settings = {"core.hooksPath": "/dev/null", "core.symlinks": "true", "gc.auto": "0", "safe.directory": "*"}
        if self.source.credential_kind == ModuleSource.Credential.TOKEN:
            parts = urlsplit(self.source.url)
            # For this server alone: a redirect elsewhere is asked for in vain.
            settings[f"credential.{parts.scheme}://{parts.netloc}.helper"] = HELPER
            environment["SLIPWAY_GIT_TOKEN"] = self.secret
        environment["GIT_CONFIG_COUNT"] = str(len(settings))
        for number, (name, value) in enumerate(settings.items()):
            environment[f"GIT_CONFIG_KEY_{number}"] = name
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return environment

    def _ssh(self) -> str:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "20",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "StrictHostKeyChecking": "accept-new",
            "UserKnownHostsFile": str(self.work / "known_hosts"),
            "GlobalKnownHostsFile": "/dev/null",
        }
        words = ["ssh", "-F", "/dev/null", "-i", str(self.private / "key")]
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        return shlex.join(words)

    def run(self, *words: str, seconds: float, quiet: bool = False) -> Ran:
        """`git <words>` in the sandbox; what it says is kept for people, without the secret."""
        environment = self.environment()
        spec = self.agent.sandbox
        prefix = sandbox_prefix(
            spec.resolved(),
            readable=[self.private, *interpreter_paths(), *certificate_paths(environment)],
            writable=[self.work],
            hidden=spec.hidden,
            work=self.work / "repository",
        )
        ran = sandboxed_run(
            [*prefix, "git", *words],
            environment=environment,
            folder=self.work / "repository",
            seconds=seconds,
            stopping=self.agent.stopping,
            watch=self._too_large,
        )
        if ran.ended == "stopping":
            raise Stopping
        output = ran.output.replace(self.secret, "••••••") if self.secret else ran.output
        if not quiet:
            shown = " ".join(word for word in words if not word.startswith("-"))
            self.told = f"{self.told}$ git {shown}\n{output}".rstrip() + "\n"
        return Ran(ran.exit_code, output, ran.seconds, ran.ended)

    def _too_large(self) -> str:
        used = 0
        for path in (self.work / "repository").rglob("*"):
            try:
                used += path.lstat().st_size
            except OSError:
                continue
            if used > REPOSITORY_BYTES:
                return "size"
        return ""

    # -- fetching ----------------------------------------------------------------------------------------------------

    def fetch(self, reference: str) -> Path:
        """The folder of the module at that reference; raises `RetrievalFailed`."""
        found = self._find(reference)
        self._ok(self.run("init", "--quiet", "--template=", ".", seconds=LIST_SECONDS, quiet=True), "url")
        self._fetch(found)
        self._check_out()
        return self._module()

    def _find(self, reference: str) -> Found:
        ran = self.run("ls-remote", "--", self.source.url, seconds=LIST_SECONDS, quiet=True)
        if not ran.ok:
            self.told = f"$ git ls-remote {self.source.url}\n{ran.output}"
            self._ok(ran, "url")
        names = dict(line.split("\t")[::-1] for line in ran.output.splitlines() if COMMIT.match(line) and "\t" in line)
        if not names:
            raise RetrievalFailed("url", "The repository is empty: push a commit first.")
        if not reference:
            if "HEAD" not in names:
                raise RetrievalFailed(
                    "reference", "The repository has no default branch: name a branch, tag or commit."
                )
            return Found("HEAD", names["HEAD"])
        for name in (f"refs/heads/{reference}", f"refs/tags/{reference}", reference):
            if name in names:
                return Found(name, names.get(f"{name}^{{}}", names[name]))
        if SHORT_COMMIT.fullmatch(reference):
            return Found("", reference)
        known = {name.split("/", 2)[2] for name in names if name.startswith(("refs/heads/", "refs/tags/"))}
        hint = did_you_mean(reference, {name for name in known if not name.endswith("^{}")})
        raise RetrievalFailed(
            "reference", f"The repository has no branch, tag or commit “{reference}”. Push it, or name another.{hint}"
        )

    def _fetch(self, found: Found) -> None:
        """Only that commit where the server can; everything otherwise, for a commit that no name leads to."""
        wanted = found.name or found.commit
        if found.name or COMMIT.fullmatch(found.commit):
            ran = self.run("fetch", "--depth=1", "--no-tags", "--", self.source.url, wanted, seconds=FETCH_SECONDS)
            if ran.ok:
                return self._point(found, "FETCH_HEAD")
            if ran.ended or not SHALLOW.search(ran.output):
                self._ok(ran, "url")
        if found.name:
            self._ok(self.run("fetch", "--no-tags", "--", self.source.url, wanted, seconds=FETCH_SECONDS), "url")
            return self._point(found, "FETCH_HEAD")
        everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        self._ok(self.run("fetch", "--", self.source.url, *everything, seconds=FETCH_SECONDS), "url")
        return self._point(found, found.commit)

    def _point(self, found: Found, name: str) -> None:
        ran = self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", seconds=LIST_SECONDS, quiet=True)
        self.commit = ran.output.strip()
        if not ran.ok or not COMMIT.fullmatch(self.commit):
            self.commit = ""
            raise RetrievalFailed(
                "reference",
                f"The repository has no commit “{found.commit}” on any branch or tag. Push it, or name another.",
            )

    def _check_out(self) -> None:
        subfolder = self.source.subfolder
        if subfolder:
            listed = self.run(
                "ls-tree", "-d", "-r", "--name-only", self.commit, seconds=LIST_SECONDS, quiet=True
            ).output.splitlines()
            if subfolder not in listed:
                folders = [name for name in listed if "/." not in f"/{name}"][:200]
                raise RetrievalFailed(
                    "subfolder",
                    f"There is no folder “{subfolder}” at {self.commit[:10]}.{did_you_mean(subfolder, folders)}",
                )
        paths = ["--", subfolder] if subfolder else ["--", "."]
        self._ok(self.run("checkout", "--quiet", self.commit, *paths, seconds=FETCH_SECONDS, quiet=True), "module")

    def _module(self) -> Path:
        repository = self.work / "repository"
        module = repository / self.source.subfolder if self.source.subfolder else repository
        walked = repository
        for part in module.relative_to(repository).parts:
            walked /= part
            if walked.is_symlink():
                raise RetrievalFailed(
                    "subfolder", f"“{self.source.subfolder}” is a symbolic link: name the folder itself."
                )
        if not module.is_dir():
            raise RetrievalFailed("subfolder", f"There is no folder “{self.source.subfolder}” at {self.commit[:10]}.")
        return module

    def _ok(self, ran: Ran, field: str) -> None:
        if ran.ok:
            return
        address = self.source.url
        if ran.ended == "time":
            raise RetrievalFailed(field, f"{address} did not answer in time. Check that this machine may reach it.")
        if ran.ended == "size":
            limit = REPOSITORY_BYTES // 2**20
            raise RetrievalFailed(
                field, f"The repository is larger than {limit} MB: put the module into a smaller one."
            )
        if ran.ended:
            raise RetrievalFailed(field, "Git wrote too much and was ended.")
        if "host key verification failed" in ran.output.lower():
            raise RetrievalFailed(
                "url",
                f"The server of {address} shows another host key than at the first retrieval. If that is right, "
                "remove the source and add it again.",
            )
        if NOT_THERE.search(ran.output):
            raise RetrievalFailed(
                "url",
                f"There is no repository at {address}: it was moved, removed or made private. Correct the address; "
                "versions that were registered from it stay as they are.",
            )
        if REFUSED.search(ran.output):
            given = self.source.credential_kind
            cure = (
                "Check that the deploy key or token may read it, and give it again."
                if given
                else ("Give a deploy key or a token if it is private, and check the address.")
            )
            raise RetrievalFailed("credential", f"{address} cannot be read: the server refuses it. {cure}")
        raise RetrievalFailed(
            field, f"{address} could not be read. Check the address, and that this machine may reach it."
        )

    # -- afterwards --------------------------------------------------------------------------------------------------

    def known_hosts(self) -> str:
        file = self.work / "known_hosts"
        return file.read_text(errors="replace")[:10_000] if file.is_file() and not file.is_symlink() else ""

    def words(self, reference: str) -> str:
        """Where a version came from, for people: address, folder, reference."""
        folder = f"//{self.source.subfolder}" if self.source.subfolder else ""
        return f"{self.source.url}{folder}{f'?ref={reference}' if reference else ''}"


def _path() -> str:
    return "/usr/local/bin:/usr/bin:/bin"
