"""Who gets in where: strangers, the anonymous, auditors and managers, on every address; a GET does nothing."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.exceptions import NoReverseMatch
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.notebook import Notebook, notebook, page_post
from tests.factories import NOTEBOOK_VERSION

__all__ = ["notebook"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PEOPLE = ("dana", "mira", "ada", "mallory")
NOT_OURS = ("admin",)
# Answers that do not say whether the thing exists: there is no such page, or not by this method.
CLOSED = {404, 405}
# Something that every action accepts, so that it is the door that refuses and not the shape of the request.
VALID = {"seconds": 3600, "plan_hash": "0" * 64, "inputs": {"cpu": 2}}


@pytest.fixture(scope="module")
def pages(portal: Portal, browser: Browser) -> Iterator[dict[str, Page]]:
    made = {person: sign_in(browser, portal, person) for person in PEOPLE}
    made["nobody"] = browser.new_context().new_page()
    yield made
    for page in made.values():
        page.context.close()


@pytest.fixture(scope="module")
def tokens(portal: Portal) -> dict[str, str]:
    return {person: portal.token(person) for person in PEOPLE}


def patterns(resolver: URLResolver, namespaces: tuple[str, ...] = ()) -> Iterator[tuple[str, URLPattern]]:
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            if one.namespace not in NOT_OURS:
                yield from patterns(one, (*namespaces, one.namespace) if one.namespace else namespaces)
        elif one.name:
            yield ":".join((*namespaces, one.name)), one


def addresses(notebook: Notebook) -> dict[str, set[str]]:
    """Every address of the URLconf by its name, filled with this notebook's own values."""
    from django.urls import reverse

    change = str(notebook.changes()[-1]["id"])
    found: dict[str, set[str]] = {}
    for name, pattern in patterns(get_resolver("portal.urls")):
        key = change if name.startswith("change-") else notebook.id
        known = {"pk": key, "change_id": change, "slug": notebook.slug, "name": "header", "module": "local-notebook"}
        known |= {"module_slug": "local-notebook", "runtime_slug": "python-3-11-scikit-learn", "policy_slug": "none"}
        known |= {"run_id": "0" * 32, "experiment_id": "1", "model_name": "header", "version": "1", "alias": "champion"}
        known |= {"number": "1", "environment_id": notebook.id, "variable_id": notebook.id, "set_pk": notebook.id}
        if name.startswith(("module", "catalog:")):
            known |= {"slug": "local-notebook", "version": NOTEBOOK_VERSION}
        if name.startswith(("team", "accounts:")):
            known |= {"slug": "churn", "uidb64": "MQ", "token": "set-password"}
        if name == "accounts:password_link":
            known |= {"pk": "1"}
        if name.startswith("experiment-"):
            known |= {"pk": "1"}
        if name.startswith("audit"):
            known |= {"id": "1"}
        if name == "team-member":
            known |= {"username": "dana"}
        if name.startswith("user"):
            known |= {"username": "dana", "pk": "dana"}
        arguments = {key: known[key] for key in pattern.pattern.regex.groupindex if key in known}
        try:
            found.setdefault(name, set()).add(reverse(name, kwargs=arguments, urlconf="portal.urls").lstrip("/"))
        except NoReverseMatch:
            found.setdefault(name, set())
    return found


def of_environment(notebook: Notebook, prefix: tuple[str, ...]) -> list[str]:
    """The addresses that lead to this environment or to one of its changes."""
    change = str(notebook.changes()[-1]["id"])
    keys = (notebook.id, notebook.slug, change)
    paths = {path for found in addresses(notebook).values() for path in found}
    return sorted(path for path in paths if path.startswith(prefix) and any(key in path for key in keys))


def state(notebook: Notebook) -> dict[str, Any]:
    """What an action would change; figures of use come and go by themselves."""
    row = notebook.read()
    shown = {key: value for key, value in row.items() if key != "last_activity_at"}
    return {**shown, "changes": [(one["id"], one["status"]) for one in notebook.changes()]}


def get(page: Page, address: str) -> Any:
    return page.context.request.get(address, max_redirects=0)


@pytest.mark.matrix
def test_walk_finds_every_address(notebook: Notebook) -> None:
    found = addresses(notebook)
    assert not [name for name, paths in found.items() if not paths], "say how these are filled"
    assert len(of_environment(notebook, ("environments/",))) > 20
    assert len(of_environment(notebook, ("api/v1/environments/", "api/v1/changes/"))) > 12


@pytest.mark.matrix
def test_stranger_finds_nothing(
    portal: Portal, pages: dict[str, Page], tokens: dict[str, str], notebook: Notebook
) -> None:
    before = state(notebook)
    mallory = pages["mallory"]
    for path in of_environment(notebook, ("environments/",)):
        assert get(mallory, portal.url + path).status in CLOSED, path
        assert page_post(mallory, portal, path, confirm=notebook.name).status in CLOSED, path
    assert get(mallory, f"{portal.url}environments/{notebook.id}/").status == 404
    assert get(mallory, f"{portal.url}environments/{notebook.id}/log/?stream=build&after=0").status == 404
    for path in of_environment(notebook, ("api/v1/",)):
        for method in ("GET", "POST", "PATCH", "DELETE", "PUT"):
            status, answer = portal.call(method, path, VALID if method != "GET" else None, tokens["mallory"])
            assert status in CLOSED, (method, path)
            assert notebook.name not in json.dumps(answer)
    for path in ("api/v1/environments/?page_size=100", "api/v1/changes/?page_size=100"):
        assert portal.get(path, tokens["mallory"])[1]["results"] == [], path
    assert notebook.name not in get(mallory, portal.url + "environments/?view=team").text()
    assert notebook.name not in get(mallory, f"{portal.url}search/?q={notebook.slug}").text()
    assert state(notebook) == before


@pytest.mark.matrix
def test_anonymous_people_are_asked_to_sign_in(portal: Portal, pages: dict[str, Page], notebook: Notebook) -> None:
    before = state(notebook)
    nobody = pages["nobody"]
    for path in of_environment(notebook, ("environments/",)):
        answer = get(nobody, portal.url + path)
        assert answer.status in (302, 405), path
        if answer.status == 302:
            assert answer.headers["location"].startswith("/accounts/sign-in/"), path
    for path in of_environment(notebook, ("api/v1/",)):
        answer = nobody.context.request.fetch(portal.url + path, method="GET")
        assert answer.status in (401, 405), path
        assert answer.headers["content-type"].startswith("application/problem+json"), path
        assert nobody.context.request.fetch(portal.url + path, method="POST", data={}).status in (401, 405), path
    assert nobody.context.request.get(portal.url + "events/").status in (401, 403)
    assert state(notebook) == before


@pytest.mark.matrix
@pytest.mark.parametrize("person", ["ada", "mira"])
def test_readers_read_and_change_nothing(
    portal: Portal, pages: dict[str, Page], tokens: dict[str, str], notebook: Notebook, person: str
) -> None:
    """An auditor and a member's manager see all of it. The manager may stop it, which is left out here."""
    before = state(notebook)
    page = pages[person]
    for path in of_environment(notebook, ("environments/",)):
        opens = path.rstrip("/").endswith(("open", "waiting", notebook.slug))
        assert get(page, portal.url + path).status in ({404} if opens else {200, 403, 404, 405}), path
        if person == "mira" and path.endswith("/stop/"):
            continue
        assert page_post(page, portal, path, confirm=notebook.name, seconds="3600").status in (403, 404, 405), path
    for tab in ("", "logs/", "resources/", "settings/", "log/?stream=build&after=0"):
        assert get(page, f"{portal.url}environments/{notebook.id}/{tab}").status == 200, tab
    for path in of_environment(notebook, ("api/v1/",)):
        # Not found: what is no cluster gives out no connection, and rollouts are not theirs.
        assert portal.get(path, tokens[person])[0] in (200, 403, 404, 405), path
        if person == "mira" and path.endswith("/stop/"):
            continue
        assert portal.call("POST", path, VALID, tokens[person])[0] in (403, 404, 405), path
    patched = portal.call("PATCH", f"api/v1/environments/{notebook.id}/", {"inputs": {"cpu": 2}}, tokens[person])
    assert patched[0] == 403
    page.goto(f"{portal.url}environments/{notebook.id}/")
    expect(page.get_by_role("heading", name=notebook.name)).to_be_visible()
    expect(page.get_by_text("Open JupyterLab")).to_have_count(0)
    assert state(notebook) == before


@pytest.mark.matrix
def test_get_changes_nothing_on_any_address(portal: Portal, pages: dict[str, Page], notebook: Notebook) -> None:
    """By the one person who may do everything with it, on every address of the portal, sign-out included."""
    before = state(notebook)
    dana = pages["dana"]
    paths = sorted({path for found in addresses(notebook).values() for path in found})
    for path in paths:
        answer = get(dana, portal.url + path)
        assert answer.status < 500, path
    assert get(dana, portal.url).status == 200, "still signed in"
    assert state(notebook) == before


def tickets_of(page: Page, portal: Portal, slug: str) -> list[str]:
    """Addresses that let this person in: one that was used a moment ago, and one that was copied before its use."""
    used: list[str] = []
    page.on("request", lambda request: used.append(request.url) if "/_slipway/ticket" in request.url else None)
    page.context.clear_cookies(domain=f"{slug}.apps.localhost")
    page.goto(application(portal, slug), wait_until="commit")
    challenge = hashlib.sha256(b"of a browser of the owner").hexdigest()
    answer = get(page, f"{portal.url}environments/open/{slug}/?path=/lab&challenge={challenge}")
    assert answer.status == 302, answer.text()
    assert "/_slipway/ticket" in answer.headers["location"]
    assert used
    return [used[-1], answer.headers["location"]]


def application(portal: Portal, slug: str) -> str:
    return f"http://{slug}.apps.{portal.host}/lab"


@pytest.mark.parametrize("person", ["mallory", "mira", "ada"])
def test_copied_links_let_nobody_else_in(
    portal: Portal, pages: dict[str, Page], notebook: Notebook, person: str
) -> None:
    other = pages[person]
    answer = other.goto(application(portal, notebook.slug))
    assert answer is not None
    assert answer.status == 404
    assert other.url.startswith(portal.url)
    for copied in tickets_of(pages["dana"], portal, notebook.slug):
        answer = other.goto(copied)
        assert answer is not None
        assert answer.status in (400, 403, 404)
        assert "JupyterLab</title>" not in other.content()
    answer = other.goto(application(portal, notebook.slug).replace("/lab", "/api/contents"))
    assert answer is not None
    assert answer.status in (401, 403, 404)
    assert "welcome.ipynb" not in other.content()


def test_anonymous_with_a_copied_link_signs_in_first(
    portal: Portal, pages: dict[str, Page], notebook: Notebook
) -> None:
    nobody = pages["nobody"]
    for copied in tickets_of(pages["dana"], portal, notebook.slug):
        nobody.goto(copied)
        assert "JupyterLab</title>" not in nobody.content()
    nobody.goto(application(portal, notebook.slug))
    assert nobody.url.startswith(portal.url + "accounts/sign-in/")
