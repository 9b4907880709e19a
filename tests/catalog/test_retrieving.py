"""Modules from real Git repositories over HTTP, retrieved in the sandbox by what the agent runs."""

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.git_server import Repository, git, served
from tests.catalog.modules import module_write, variable

pytestmark = pytest.mark.django_db
TOKEN = "glpat-s3cr3t-t0ken-value"


@pytest.fixture
def pete() -> Any:
    from tests.factories import UserFactory

    return UserFactory(username="pete", is_platform_engineer=True)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    module_write(made.work / "modules" / "sample", variable("size", "number", "default = 1"))
    (made.work / "modules" / "sample" / "CHANGELOG.md").write_text(
        "# Changes\n\n## 1.0.0\n\nThe first.\n\n## 0.9.0\n\nOld.\n"
    )
    made.commit("first", tag="v1.0.0")
    return made


@pytest.fixture
def address(repository: Repository, tmp_path: Path) -> Iterator[str]:
    with served(tmp_path) as base:
        yield f"{base}/modules.git"


@pytest.fixture
def retrieve(tmp_path: Path, pete: Any) -> Callable[..., Any]:
    """Ask for a retrieval and carry it out as the agent does."""
    from apps.catalog.models import ModuleRetrieval
    from apps.catalog.services import retrieval_request
    from apps.catalog.services.claims import Claimant
    from apps.provisioning.agent.retrieving import Retrieving
    from apps.provisioning.terraform_sandbox import SandboxSpec

    def carry_out(source: Any, **asked: str) -> Any:
        row = retrieval_request(source=source, actor=pete, **asked)
        agent = Retrieving(
            root=tmp_path / "agent",
            sandbox=SandboxSpec(plugins=tmp_path),
            environ={},
            claimant=Claimant(uuid.uuid4(), 1),
            stopping=threading.Event(),
        )
        agent.look()
        assert not list((tmp_path / "agent").rglob("key"))
        return ModuleRetrieval.objects.get(pk=row.pk)

    return carry_out


def source_of(pete: Any, url: str, **fields: Any) -> Any:
    from apps.catalog.services import source_create

    return source_create(actor=pete, **{"slug": "sample", "url": url, "subfolder": "modules/sample", **fields})


def test_a_branch_becomes_a_draft_with_everything_known_of_it(
    repository: Repository, address: str, retrieve: Callable[..., Any], pete: Any
) -> None:
    from apps.catalog.models import Module

    done = retrieve(source_of(pete, address))
    assert (done.status, done.problem) == ("done", ""), done.log
    version = done.version
    assert (version.status, version.version, version.commit) == (
        "draft",
        "1.0.0",
        git(repository.work, "rev-parse", "HEAD"),
    )
    assert version.changelog == "The first."
    assert [item.name for item in version.parsed().inputs] == ["size"]
    assert Module.objects.get(slug="sample").latest_version is None
    assert [check.status for check in version.checks.all()] == ["queued"] * 4


def test_a_tag_a_branch_and_commits_are_found(
    repository: Repository, address: str, retrieve: Callable[..., Any], pete: Any
) -> None:
    first = git(repository.work, "rev-parse", "HEAD")
    manifest = repository.work / "modules" / "sample" / "module.yaml"
    manifest.write_text(manifest.read_text().replace("1.0.0", "1.1.0"))
    second = repository.commit("second", branch="next")
    source = source_of(pete, address)
    assert retrieve(source, reference="next").version.version == "1.1.0"
    assert retrieve(source, reference="v1.0.0").commit == first
    assert retrieve(source, reference=first).version.version == "1.0.0"
    again = retrieve(source, reference=second[:10])
    assert (again.commit, again.is_new) == (second, False)


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        (
            {"reference": "mian"},
            "reference",
            "no branch, tag or commit “mian”. Push it, or name another. Did you mean “main”",
        ),
        ({"reference": "abcdef1234"}, "reference", "no commit “abcdef1234” on any branch or tag"),
        ({"subfolder": "modules/simple"}, "subfolder", "no folder “modules/simple” at"),
        ({"url": "http://127.0.0.1:9/none.git"}, "url", "could not be read. Check the address"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    address: str, retrieve: Callable[..., Any], pete: Any, changed: dict[str, str], field: str, words: str
) -> None:
    failed = retrieve(source_of(pete, **{"url": address, **changed}))
    assert (failed.status, failed.problem_field) == ("failed", field)
    assert words in failed.problem
    assert failed.version is None


def test_a_source_that_disappears_leaves_what_was_registered(
    repository: Repository, address: str, retrieve: Callable[..., Any], pete: Any, tmp_path: Path
) -> None:
    import shutil

    from apps.catalog.models import ModuleVersion
    from apps.catalog.services import module_archive_extract

    source = source_of(pete, address)
    version = retrieve(source).version
    shutil.rmtree(repository.bare)
    gone = retrieve(source)
    assert (gone.status, gone.problem_field) == ("failed", "url")
    assert "no repository at" in gone.problem
    module_archive_extract(ModuleVersion.objects.get(pk=version.pk), tmp_path / "out")
    assert (tmp_path / "out" / "variables.tf").is_file()


def test_a_syntax_error_names_file_and_line(
    repository: Repository, address: str, retrieve: Callable[..., Any], pete: Any
) -> None:
    (repository.work / "modules" / "sample" / "main.tf").write_text('resource "x" {\n  a = [\n')
    repository.commit("broken")
    failed = retrieve(source_of(pete, address))
    assert (failed.status, failed.problem_field) == ("failed", "module")
    assert "main.tf" in failed.problem


def test_a_symbolic_link_out_of_the_repository_is_refused(
    repository: Repository, address: str, retrieve: Callable[..., Any], pete: Any
) -> None:
    (repository.work / "modules" / "sample" / "passwd.tf").symlink_to("/etc/passwd")
    repository.commit("linked")
    failed = retrieve(source_of(pete, address))
    assert "passwd.tf" in failed.problem
    assert "symbolic link" in failed.problem


def test_a_folder_that_is_a_link_is_refused(
    repository: Repository, address: str, retrieve: Callable[..., Any], pete: Any
) -> None:
    (repository.work / "linked").symlink_to("/etc")
    repository.commit("linked")
    assert retrieve(source_of(pete, address, subfolder="linked")).problem_field == "subfolder"


def test_the_same_version_with_other_content_is_refused(
    repository: Repository, address: str, retrieve: Callable[..., Any], pete: Any
) -> None:
    source = source_of(pete, address)
    assert retrieve(source).status == "done"
    (repository.work / "modules" / "sample" / "main.tf").write_text("# another\n")
    repository.commit("silently changed")
    failed = retrieve(source)
    assert (failed.status, failed.problem_field) == ("failed", "version")
    assert "Raise `version`" in failed.problem


class TestPrivate:
    @pytest.fixture
    def private(self, repository: Repository, tmp_path: Path) -> Iterator[str]:
        with served(tmp_path, token=TOKEN) as base:
            yield f"{base}/modules.git"

    def test_a_token_opens_it_and_is_nowhere_to_be_read(
        self, private: str, retrieve: Callable[..., Any], pete: Any
    ) -> None:
        from apps.audit.models import AuditEvent
        from apps.catalog.models import ModuleSource

        source = source_of(pete, private, credential_kind="token", credential=TOKEN)
        done = retrieve(source)
        assert (done.status, done.problem) == ("done", ""), done.log
        row = ModuleSource.objects.get(pk=source.pk)
        assert TOKEN.encode() not in bytes(row.credential_cipher)
        assert TOKEN not in done.log + done.version.source + str(list(AuditEvent.objects.values()))

    @pytest.mark.parametrize("credential", ["", "wrong-token-123"])
    def test_without_the_right_token_the_message_says_so(
        self, private: str, retrieve: Callable[..., Any], pete: Any, credential: str
    ) -> None:
        given = {"credential_kind": "token", "credential": credential} if credential else {}
        failed = retrieve(source_of(pete, private, **given))
        assert (failed.status, failed.problem_field) == ("failed", "credential")
        assert "refuses it" in failed.problem
        assert "wrong-token" not in failed.problem + failed.log
