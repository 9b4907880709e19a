"""Pages and API of variable sets: who gets in, what is said, and that no value comes back."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.factories import People

pytestmark = pytest.mark.django_db
SECRET, PLAIN = "canary-of-doors-5512", "nowhere-west-1"


@pytest.fixture
def filled(people: "People", vision: Any) -> Any:
    from apps.variable_sets.services import variable_set_value

    put = {"variable_set": vision, "actor": people.mira, "kind": "environment"}
    variable_set_value(**put, name="CLOUD_KEY", value=SECRET)
    variable_set_value(**put, name="CLOUD_REGION", value=PLAIN, sensitive=False)
    return vision


def client(user: Any) -> Any:
    from tests.cast import browser

    return browser(user)


def pages(row: Any) -> list[str]:
    variable = row.variables.first()
    return [
        "/variable-sets/", "/variable-sets/counting/", "/variable-sets/counting/?team=vision&target=local",
        f"/variable-sets/{row.pk}/", f"/variable-sets/{row.pk}/edit/", f"/variable-sets/{row.pk}/variables/new/",
        f"/variable-sets/{row.pk}/variables/{variable.pk}/", "/api/v1/variable-sets/",
        f"/api/v1/variable-sets/{row.pk}/", f"/api/v1/variable-sets/{row.pk}/variables/",
        f"/api/v1/variable-sets/{row.pk}/variables/{variable.pk}/", "/audit/", "/api/v1/audit/",
    ]  # fmt: skip


def test_no_page_gives_a_secret_back(people: "People", filled: Any) -> None:
    for name in ("pete", "mira", "dana", "ada", "mallory"):
        for path in pages(filled):
            answer = client(getattr(people, name)).get(path)
            assert SECRET not in answer.content.decode(), (name, path)


def test_who_sees_and_who_reads(people: "People", filled: Any) -> None:
    path, listed = f"/variable-sets/{filled.pk}/", "/variable-sets/"
    for user, status in ((people.dana, 200), (people.ada, 200), (people.mira, 200), (people.mallory, 404)):
        assert client(user).get(path).status_code == status
        assert ("Vision cloud" in client(user).get(listed).content.decode()) == (status == 200)
    for user, reads in ((people.pete, True), (people.mira, True), (people.dana, False), (people.ada, False)):
        assert (PLAIN in client(user).get(path).content.decode()) == reads
        rows = client(user).get(f"/api/v1{path}variables/").json()["results"]
        assert {row["name"]: row["value"] for row in rows} == {
            "CLOUD_KEY": None,
            "CLOUD_REGION": PLAIN if reads else None,
        }
    assert client(None).get(path).status_code == 302


def test_members_change_nothing(people: "People", filled: Any) -> None:
    variable = filled.variables.first()
    writes = [
        "/variable-sets/new/", f"/variable-sets/{filled.pk}/edit/", f"/variable-sets/{filled.pk}/delete/",
        f"/variable-sets/{filled.pk}/variables/new/", f"/variable-sets/{filled.pk}/variables/{variable.pk}/",
        f"/variable-sets/{filled.pk}/variables/{variable.pk}/delete/",
    ]  # fmt: skip
    for path in writes:
        for user in (people.dana, people.ada):
            assert client(user).post(path, {"name": "X"}).status_code == 403, path
        if str(filled.pk) in path:
            assert client(people.mallory).post(path, {"name": "X"}).status_code == 404


def test_set_and_variable_by_the_pages(people: "People") -> None:
    from apps.variable_sets.models import VariableSet
    from apps.variable_sets.selectors import value_of

    mira = client(people.mira)
    form = {"name": "Cloud", "team": "vision", "target": "aws"}
    assert mira.post("/variable-sets/new/", form | {"team": "pricing"}).status_code == 422
    assert mira.post("/variable-sets/new/", form | {"target": ""}).status_code == 422
    assert mira.post("/variable-sets/new/", form).status_code == 302
    assert "already" in mira.post("/variable-sets/new/", form).content.decode()
    row = VariableSet.objects.get()
    path = f"/variable-sets/{row.pk}/variables/"
    wrong = mira.post(f"{path}new/", {"kind": "environment", "name": "LD_PRELOAD", "value": SECRET, "sensitive": "on"})
    assert wrong.status_code == 422
    # Not even to the one who typed it a moment ago.
    assert SECRET not in wrong.content.decode()
    right = mira.post(f"{path}new/", {"kind": "environment", "name": "KEY", "value": SECRET, "sensitive": "on"})
    assert right.status_code == 302
    variable = row.variables.get()
    assert mira.post(f"{path}{variable.pk}/", {"value": "", "sensitive": "on"}).status_code == 302
    assert value_of(row.variables.get()) == SECRET
    assert mira.post(f"{path}{variable.pk}/", {"value": ""}).status_code == 422
    assert mira.post(f"{path}{variable.pk}/", {"value": "a-new-value", "sensitive": "on"}).status_code == 302
    assert value_of(row.variables.get()) == "a-new-value"
    assert mira.post(f"/variable-sets/{row.pk}/edit/", {"name": "Clouds", "target": "gcp"}).status_code == 302
    assert mira.post(f"{path}{variable.pk}/delete/").status_code == 302
    assert mira.post(f"/variable-sets/{row.pk}/delete/").status_code == 302
    assert not VariableSet.objects.exists()


def test_set_and_variable_by_the_api(people: "People") -> None:
    pete, json = client(people.pete), "application/json"
    made = pete.post("/api/v1/variable-sets/", {"name": "Proxy", "target": "aws"}, json)
    assert made.status_code == 201, made.content
    path = f"/api/v1/variable-sets/{made.json()['id']}/"
    assert pete.patch(path, {"description": "The way out"}, json).json()["description"] == "The way out"
    variable = pete.post(f"{path}variables/", {"name": "HTTPS_PROXY", "value": SECRET}, json)
    assert variable.status_code == 201
    assert SECRET not in variable.content.decode()
    one = f"{path}variables/{variable.json()['id']}/"
    assert pete.patch(one, {"sensitive": False}, json).status_code == 400
    changed = pete.patch(one, {"sensitive": False, "value": "http://proxy.example.com:3128"}, json)
    assert changed.json()["value"] == "http://proxy.example.com:3128"
    taken = pete.post("/api/v1/variable-sets/", {"name": "Proxy"}, json)
    assert taken.json()["code"] == "variable_sets:invalid"
    refused = pete.post(f"{path}variables/", {"name": "TF_LOG", "value": SECRET}, json)
    assert refused.json()["code"] == "variable_sets:variable-invalid"
    assert SECRET not in refused.content.decode()
    assert pete.delete(one).status_code == 204
    assert pete.delete(path).status_code == 204


def test_which_value_counts_is_said(people: "People", filled: Any, everybody: Any) -> None:
    from apps.variable_sets.services import variable_set_value

    variable_set_value(
        variable_set=everybody, actor=people.pete, name="CLOUD_KEY", kind="environment", value="of-everybody"
    )
    page = client(people.dana).get("/variable-sets/counting/?team=vision&target=local").content.decode()
    assert "no, Vision cloud is nearer" in page
    page = client(people.dana).get("/variable-sets/counting/?target=local").content.decode()
    assert "nearer" not in page
    assert "Proxy" in page


def test_the_launch_page_says_what_will_be_given_by_name(people: "People", filled: Any, everybody: Any) -> None:
    from tests.factories import notebook_version

    notebook_version()
    page = client(people.dana).get("/environments/launch/local-notebook/").content.decode()
    assert "Vision cloud</a>: CLOUD_KEY, CLOUD_REGION" in page
    assert "Proxy" in page
    assert SECRET not in page
    assert PLAIN not in page
    theirs = client(people.mallory).get("/environments/launch/local-notebook/").content.decode()
    assert "Vision cloud" not in theirs
    assert "Proxy" in theirs
