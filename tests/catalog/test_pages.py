"""Pages and API of modules by role: who sees them, who is refused, what a mistake is told."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.catalog.modules import module_write, variable

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
ADDRESS = "https://git.example.com/modules.git"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0LWtleS1tYXRlcmlhbA==\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture
def by(people: Any) -> Callable[[str], Client]:
    def client(name: str) -> Client:
        made = Client()
        made.force_login(getattr(people, name))
        return made

    return client


def archive(path: Path, *, leave: str = "") -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for file in sorted(path.rglob("*")):
            if file.is_file() and file.name != leave:
                packed.add(file, arcname=f"{path.name}/{file.relative_to(path)}")
    buffer.seek(0)
    buffer.name = "sample.tar.gz"
    return buffer


@pytest.mark.parametrize(
    ("address", "statuses"),
    [
        ("/modules/register/", (200, 404, 404)),
        ("/modules/register/upload/", (200, 404, 404)),
        ("/modules/register/own/", (200, 404, 404)),
        ("/modules/sources/", (200, 200, 404)),
        ("/modules/sample/", (200, 200, 404)),
        ("/modules/sample/?tab=versions", (200, 200, 404)),
        ("/modules/sample/versions/1.0.0/", (200, 200, 404)),
        ("/modules/sample/versions/1.0.0/part/", (200, 200, 404)),
        ("/api/v1/module-sources/", (200, 200, 200)),
        ("/api/v1/modules/sample/versions/1.0.0/checks/", (200, 200, 404)),
        ("/api/v1/modules/sample/versions/1.0.0/difference/", (200, 200, 404)),
    ],
)
def test_what_a_draft_shows_to_whom(
    draft: Make, by: Callable[[str], Client], address: str, statuses: tuple[int, ...]
) -> None:
    draft()
    assert tuple(by(name).get(address).status_code for name in ("pete", "ada", "dana")) == statuses


def test_a_published_version_is_read_by_all_and_its_checks_by_few(published: Make, by: Callable[[str], Client]) -> None:
    published()
    page = by("dana").get("/modules/sample/versions/1.0.0/")
    assert page.status_code == 200
    assert "Revoke version" not in page.content.decode()
    assert by("dana").get("/modules/sample/versions/1.0.0/part/").status_code == 404
    assert by("dana").get("/api/v1/modules/sample/versions/1.0.0/checks/").status_code == 403
    for verb in ("publish", "deprecate", "revoke", "restore", "check"):
        for name in ("dana", "ada"):
            assert by(name).post(f"/modules/sample/versions/1.0.0/{verb}/", {"reason": "x"}).status_code == 403


def test_the_buttons_of_a_version(draft: Make, by: Callable[[str], Client]) -> None:
    version, pete = draft(checks="failed"), by("pete")
    at = "/modules/sample/versions/1.0.0/"
    refused = pete.post(f"{at}publish/")
    assert refused.status_code == 422
    assert "Formatting failed: As told" in refused.content.decode()
    version.checks.update(status="passed")
    assert pete.post(f"{at}publish/").status_code == 302
    assert pete.post(f"{at}revoke/", {"reason": ""}).status_code == 400
    assert pete.post(f"{at}deprecate/", {"reason": "Old <b>"}).status_code == 302
    page = pete.get(at).content.decode()
    assert "Old &lt;b&gt;" in page
    assert "Publish again" in page
    assert "No longer launched" in by("dana").get("/modules/").content.decode()


def test_a_git_source_is_kept_without_showing_its_key(people: Any, by: Callable[[str], Client]) -> None:
    from apps.catalog.models import ModuleSource
    from apps.catalog.services import source_credential

    pete = by("pete")
    given = {"slug": "sample", "url": "git@git.example.com:team/modules.git", "credential_kind": "deploy_key"}
    assert "Paste the key" in pete.post("/modules/register/", given).content.decode()
    made = pete.post("/modules/register/", {**given, "credential": KEY})
    assert made.status_code == 302
    source = ModuleSource.objects.get()
    assert source_credential(source) == KEY
    for address in (made.url, f"{made.url}edit/", f"/api/v1/module-sources/{source.pk}/", "/audit/"):
        text = pete.get(address).content.decode()
        assert "c2VjcmV0" not in text
        assert "BEGIN OPENSSH" not in text
    again = pete.post(f"{made.url}retrieve/", {})
    assert again.status_code == 422
    assert "Wait until" in again.content.decode()


def test_a_credential_does_not_follow_the_address_to_another_server(by: Callable[[str], Client]) -> None:
    from apps.catalog.models import ModuleSource

    pete = by("pete")
    given = {"slug": "sample", "url": ADDRESS, "credential_kind": "token", "credential": "glpat-0123456789"}
    at = pete.post("/modules/register/", given).url
    moved = {"url": "https://evil.example.net/modules.git", "credential_kind": "token"}
    refused = pete.post(f"{at}edit/", moved)
    assert refused.status_code == 422
    assert "give the credential again" in refused.content.decode()
    assert ModuleSource.objects.get().url == ADDRESS
    assert pete.post(f"{at}edit/", {**moved, "url": f"{ADDRESS}/other"}).status_code == 302
    assert ModuleSource.objects.get().has_credential


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": "file:///etc"}, "url"),
        ({"url": "ext::sh -c id"}, "url"),
        ({"url": "-oProxyCommand=id"}, "url"),
        ({"url": "https://pete:secret@git.example.com/x.git"}, "url"),
        ({"url": "http://[::1"}, "url"),
        ({"url": "https://git.example.com:port/x"}, "url"),
        ({"url": f"https://{'a' * 500}.example.com/"}, "url"),
        ({"slug": "Über"}, "slug"),
        ({"slug": "register"}, "slug"),
        ({"reference": "--upload-pack=id"}, "reference"),
        ({"reference": "a..b"}, "reference"),
        ({"subfolder": "../.."}, "subfolder"),
        ({"credential_kind": "password"}, "credential_kind"),
        ({"credential_kind": "token", "credential": "two\nlines"}, "credential"),
        ({"credential_kind": "deploy_key", "credential": KEY}, "credential_kind"),
        ({"manifest": {"title": "T"}}, "version"),
        ({"manifest": {"title": 1, "version": [], "kind": {}, "ttl": 3}}, "title"),
        ({"manifest": {"surprise": 1}}, "manifest"),
    ],
)
def test_hostile_sources_are_refused_at_their_field(by: Callable[[str], Client], given: Any, field: str) -> None:
    body = {"slug": "sample", "url": ADDRESS, **given}
    answer = by("pete").post("/api/v1/module-sources/", json.dumps(body), content_type="application/json")
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["errors"], answer.json()


def test_the_way_of_a_module_through_the_api(by: Callable[[str], Client]) -> None:
    pete = by("pete")
    body = json.dumps({"slug": "sample", "url": ADDRESS})
    made = pete.post(
        "/api/v1/module-sources/", body, content_type="application/json", headers={"Idempotency-Key": "one"}
    )
    again = pete.post(
        "/api/v1/module-sources/", body, content_type="application/json", headers={"Idempotency-Key": "one"}
    )
    assert (made.status_code, again.json()["id"]) == (201, made.json()["id"])
    at = f"/api/v1/module-sources/{made.json()['id']}/"
    asked = pete.post(f"{at}retrieve/", json.dumps({"reference": "main"}), content_type="application/json")
    assert (asked.status_code, asked.json()["status"]) == (202, "queued")
    assert pete.get(f"/api/v1/module-retrievals/{asked.json()['id']}/").json()["module"] == "sample"
    assert by("dana").get(f"/api/v1/module-retrievals/{asked.json()['id']}/").status_code == 404
    assert by("dana").post(f"{at}retrieve/", "{}", content_type="application/json").status_code == 404
    assert by("ada").post(f"{at}retrieve/", "{}", content_type="application/json").status_code == 403
    assert pete.delete(at).status_code == 204


def test_an_archive_becomes_a_draft(by: Callable[[str], Client], tmp_path: Path) -> None:
    from apps.catalog.models import ModuleVersion

    path = module_write(tmp_path / "sample", variable("size", "number", "default = 1"))
    made = by("pete").post("/modules/register/upload/", {"slug": "sample", "archive": archive(path)})
    assert made.url == "/modules/sample/versions/1.0.0/"
    version = ModuleVersion.objects.get()
    assert (version.status, version.source) == ("draft", "Upload sample.tar.gz")
    again = by("pete").post("/api/v1/module-uploads/", {"slug": "sample", "archive": archive(path)})
    assert (again.status_code, again.json()["status"]) == (200, "draft")
    for name, status in (("dana", 404), ("ada", 403)):
        assert by(name).post("/api/v1/module-uploads/", {"slug": "x", "archive": archive(path)}).status_code == status


def test_a_public_module_is_given_its_manifest_in_the_form(by: Callable[[str], Client], tmp_path: Path) -> None:
    from apps.catalog.models import ModuleVersion

    path = module_write(tmp_path / "public", 'variable "bucket" {\n  type = string\n}\n')
    pete = by("pete")
    without = pete.post("/modules/register/upload/", {"slug": "public", "archive": archive(path, leave="module.yaml")})
    assert without.status_code == 422
    assert "module.yaml" in without.content.decode()
    manifest = {
        "title": "Bucket", "version": "3.2.1", "kind": "job", "target": "aws", "summary": "A bucket.",
        "examples": '{"bucket": "data"}',
    }  # fmt: skip
    made = pete.post(
        "/modules/register/upload/", {"slug": "public", "archive": archive(path, leave="module.yaml"), **manifest}
    )
    assert made.status_code == 302, made.content.decode()
    version = ModuleVersion.objects.get()
    assert (version.version, version.parsed().examples) == ("3.2.1", {"bucket": "data"})


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04", b"\x1f\x8b\x00"])
def test_a_file_that_is_no_archive_is_refused_on_the_page(by: Callable[[str], Client], content: bytes) -> None:
    file = io.BytesIO(content)
    file.name = "x.zip"
    answer = by("pete").post("/modules/register/upload/", {"slug": "sample", "archive": file})
    assert answer.status_code == 422
    assert "archive" in answer.content.decode().lower()


def test_the_difference_marks_what_breaks(draft: Make, published: Make, by: Callable[[str], Client]) -> None:
    published("1.0.0", variable("size", "number", "default = 1"), variable("old", "string", 'default = "x"'))
    draft("2.0.0", variable("size", "string", 'default = "1"'), variable("bucket", "string"))
    answer = by("pete").get("/api/v1/modules/sample/versions/2.0.0/difference/").json()
    assert (answer["before"], answer["breaking"]) == ("1.0.0", True)
    assert (answer["inputs_removed"], answer["required_added"]) == (["old"], ["bucket"])
    changed = {item["name"]: item for item in answer["inputs_changed"]}
    assert not changed["size"]["breaking"]  # every number is a string
    page = by("pete").get("/modules/sample/versions/2.0.0/?tab=changes").content.decode()
    assert "Input “bucket” is new and has to be given." in page


def test_lists_ask_the_same_of_the_database_however_long(published: Make, by: Callable[[str], Client]) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    pete = by("pete")
    published("1.0.0")
    addresses = ("/modules/", "/modules/sample/?tab=versions", "/api/v1/modules/sample/versions/")

    def count(address: str) -> int:
        pete.get(address)
        with CaptureQueriesContext(connection) as queries:
            pete.get(address)
        return len(queries)

    few = [count(address) for address in addresses]
    for number in range(1, 4):
        published(f"1.{number}.0")
        published("1.0.0", slug=f"other-{'abc'[number - 1]}")
    assert [count(address) for address in addresses] == few
