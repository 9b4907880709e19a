"""A notebook turned against the portal: from inside its service, and by a page that it serves to a signed-in person."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.notebook import Notebook, notebook_launch, notebooks_destroy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CODE = Path(__file__).with_name("notebook_attack.py").read_text()
NAMES = ("nb colleague", "nb victim")


@dataclass
class Attack:
    """The colleague's notebook, which has been turned, dana's other one, and what was found from inside."""

    colleague: Notebook
    victim: Notebook
    report: dict[str, Any]
    unhealthy: list[str]

    def url(self, notebook: Notebook, path: str = "/") -> str:
        return f"http://{notebook.slug}.apps.{notebook.portal.host}{path}"


def volume(portal: Portal, notebook: Notebook) -> Path:
    return portal.data / "agent" / "volumes" / notebook.id / "home"


def ports_of(portal: Portal) -> list[int]:
    """Of the portal, its broker and its MLflow; a colleague finds them in /proc/net/tcp."""
    known = json.loads((portal.data / "run" / "environment.json").read_text())
    addresses = [portal.url, known["BROKER_URL"], known["MLFLOW_TRACKING_URI"]]
    return [int(urlsplit(address).port or 0) for address in addresses]


def told(portal: Portal, victim: Notebook) -> dict[str, Any]:
    """Where everything lies, as somebody knows who has read the source."""
    data = portal.data
    other = f"api/v1/environments/{victim.id}/"
    return {
        "files": [
            *map(str, (data / "password", data / "keys" / "secret_key", data / "run" / "environment.json")),
            *map(str, (data / "agent" / "secret", data / "agent" / "services", data / "postgres", data / "valkey")),
            *map(str, (data / "logs" / "web.log", volume(portal, victim), data / "agent" / "workspaces" / victim.id)),
        ],
        "sockets": [str(data / "run" / ".s.PGSQL.5432"), str(data / "agent" / "run" / "agent.sock")],
        "ports": ports_of(portal),
        "requests": [
            ["GET", "api/v1/environments/", None], ["GET", other, None], ["POST", f"{other}stop/", {}],
            ["POST", f"{other}destroy/", {"confirm": victim.name}], ["PATCH", other, {"name": "mine"}],
            ["POST", "api/v1/environments/", {"name": "x", "team": "churn", "module": "local-notebook"}],
            ["GET", "api/v1/users/", None], ["GET", "api/v1/teams/", None], ["GET", "api/v1/audit/", None],
            ["GET", "api/v1/changes/", None], ["GET", "api/v1/modules/", None], ["POST", "api/v1/modules/", {}],
            ["GET", "access/verify", None],
        ],
        "cookies": [
            "slipway_session", "slipway_csrf", f"slipway-app-{victim.slug}", f"slipway-way-{victim.slug}", "harmless",
        ],
    }  # fmt: skip


def health_watch(portal: Portal, ended: threading.Event, found: list[str]) -> None:
    while not ended.wait(0.2):
        try:
            with urllib.request.urlopen(portal.url + "healthz", timeout=5) as answer:
                if answer.status != 200:
                    found.append(str(answer.status))
        except OSError as error:
            found.append(str(error))


@pytest.fixture(scope="module")
def attack(portal: Portal) -> Iterator[Attack]:
    token = portal.token("dana")
    colleague, victim = (notebook_launch(portal, token, name) for name in NAMES)
    for notebook in (colleague, victim):
        notebook.settled("running")
    colleague.act("stop")
    colleague.settled("stopped")
    home = volume(portal, colleague)
    folder = home / ".jupyter"
    (folder / "jupyter_server_config.py").write_text(CODE)
    (home / "told.json").write_text(json.dumps(told(portal, victim)))
    ended, unhealthy = threading.Event(), []
    watch = threading.Thread(target=health_watch, args=(portal, ended, unhealthy))
    watch.start()
    try:
        colleague.act("start")
        colleague.settled("running")
    finally:
        ended.set()
        watch.join()
    yield Attack(colleague, victim, json.loads((home / "report.json").read_text()), unhealthy)
    notebooks_destroy(portal, token, *NAMES)


def test_from_inside_nothing_of_the_portal_is_reached(portal: Portal, attack: Attack) -> None:
    report = attack.report
    assert {path: said for path, said in report["files"].items() if not said.startswith("refused")} == {}
    assert {path: said for path, said in report["unix"].items() if not said.startswith("refused")} == {}
    assert len(report["processes"]) < 20
    for port, said in report["redis"].items():
        assert "+PONG" not in said, (port, said)
        assert "+OK" not in said, (port, said)
        assert "\n:" not in said, (port, said)
    assert any("NOAUTH" in said for said in report["redis"].values()), "the broker was among them"
    for port, codes in report["mlflow"].items():
        assert 200 not in codes, (port, codes)
    assert any(codes == [403, 403, 403] or codes == [401, 401, 401] for codes in report["mlflow"].values())
    assert attack.unhealthy == []


def test_the_environments_own_token_opens_mlflow_and_nothing_else(portal: Portal, attack: Attack) -> None:
    status, text = attack.report["mlflow own"]
    assert status == 200, text
    answers = {request: answer[0] for request, answer in attack.report["api"].items()}
    assert {request: code for request, code in answers.items() if code not in (401, 403, 404, 405)} == {}
    assert attack.report["cookie"] in (401, 403)
    assert attack.victim.read()["status"] == "running"
    assert len(attack.victim.changes()) == 1, "nobody has asked for anything"


@pytest.fixture(scope="module")
def pages(portal: Portal, browser: Browser, attack: Attack) -> Iterator[Page]:
    """Dana, signed in, has both notebooks open: her colleague's page in front of her."""
    page = sign_in(browser, portal, "dana")
    victim = page.context.new_page()
    victim.goto(attack.url(attack.victim, "/lab"))
    victim.wait_for_url("**/lab*")
    page.goto(attack.url(attack.colleague))
    page.wait_for_url(attack.url(attack.colleague) + "*")
    assert page.title() == "Mine"
    yield page
    page.context.close()


def laboratory(page: Page) -> Locator:
    """What every page of JupyterLab has, and no other."""
    return page.locator("#jupyter-config-data")


def fetched(page: Page, url: str, **options: Any) -> str:
    """What a script gets of it: "<type> <status>", or the name of the error."""
    return str(
        page.evaluate(
            "([url, options]) => fetch(url, options).then(r => `${r.type} ${r.status}`, error => error.name)",
            [url, options],
        )
    )


def test_scripts_read_nothing_of_other_origins(portal: Portal, attack: Attack, pages: Page) -> None:
    for url in (portal.url, portal.url + "api/v1/environments/", attack.url(attack.victim, "/api/contents")):
        assert fetched(pages, url, credentials="include") == "TypeError", url
        assert fetched(pages, url, credentials="include", mode="no-cors") in ("opaque 0", "TypeError"), url
    assert "slipway" not in pages.evaluate("document.cookie")
    for url in (portal.url + "events/", attack.url(attack.victim, "/api/events")):
        opened = pages.evaluate(
            "url => new Promise(done => { const s = new EventSource(url, {withCredentials: true});"
            " s.onopen = () => done('open'); s.onerror = () => { s.close(); done('refused'); } })",
            url,
        )
        assert opened == "refused", url


def test_scripts_change_nothing_at_other_origins(portal: Portal, attack: Attack, pages: Page) -> None:
    """Requests that need no permission of the other side: they are sent with its cookies, and refused there."""
    before = attack.victim.changes()
    contents = attack.url(attack.victim, "/api/contents/")
    for body in ('{"type": "file"}', '{"type": "notebook"}'):
        fetched(pages, contents, method="POST", mode="no-cors", credentials="include", body=body)
    for action in ("stop", "destroy", "extend"):
        address = f"{portal.url}environments/{attack.victim.id}/{action}/"
        fetched(pages, address, method="POST", mode="no-cors", credentials="include", body=f"confirm={NAMES[1]}")
    for url in (f"{portal.url}environments/{attack.victim.id}/stop/", contents):
        form = pages.context.new_page()
        form.goto(pages.url)
        with form.expect_navigation():
            form.evaluate(
                "url => { const f = document.createElement('form'); f.method = 'POST'; f.action = url;"
                " document.body.append(f); f.submit(); }",
                url,
            )
        expect(laboratory(form)).to_have_count(0)
        form.close()
    time.sleep(0.5)
    assert attack.victim.changes() == before
    assert attack.victim.read()["status"] == "running"
    assert not list(volume(portal, attack.victim).glob("untitled*"))


def test_sockets_of_a_sibling_are_not_opened(attack: Attack, pages: Page) -> None:
    for path in ("/api/events/subscribe", "/terminals/websocket/1", "/api/kernels/x/channels"):
        said = pages.evaluate(
            "url => new Promise(done => { const s = new WebSocket(url);"
            " s.onopen = () => done('open'); s.onerror = () => done('refused'); })",
            attack.url(attack.victim, path).replace("http", "ws", 1),
        )
        assert said == "refused", path


def test_nothing_is_shown_in_a_frame(portal: Portal, attack: Attack, pages: Page) -> None:
    for url in (portal.url, attack.url(attack.victim, "/lab"), f"{portal.url}environments/{attack.victim.id}/destroy/"):
        pages.evaluate(
            "url => new Promise(done => { const f = document.createElement('iframe'); f.src = url;"
            " f.onload = f.onerror = () => done(); document.body.append(f); setTimeout(done, 5000); })",
            url,
        )
        frames = [frame for frame in pages.frames if frame != pages.main_frame]
        shown = [frame for frame in frames if frame.locator("main, form, #main, .jp-LabShell").count()]
        assert not shown, (url, [frame.url for frame in frames])
        pages.evaluate("document.querySelectorAll('iframe').forEach(frame => frame.remove())")


def test_opened_windows_keep_their_distance(portal: Portal, attack: Attack, pages: Page) -> None:
    """Neither does a page see into the portal that it opens, nor back into the portal that opened it."""
    for url in (portal.url, attack.url(attack.victim, "/lab")):
        with pages.context.expect_page() as opened:
            pages.evaluate("url => { window.other = window.open(url); }", url)
        opened.value.wait_for_load_state()
        seen = "() => { try { return other.document.title; } catch (error) { return error.name; } }"
        assert pages.evaluate(seen) in ("SecurityError", None)
        opened.value.close()
    pages.evaluate("url => { window.other = window.open(url); }", portal.url)
    time.sleep(1)
    assert pages.evaluate("other.closed"), "the portal cuts the tie (Cross-Origin-Opener-Policy)"
    pages.context.pages[-1].close()

    front = pages.context.new_page()
    front.goto(f"{portal.url}environments/{attack.colleague.id}/")
    with front.context.expect_page() as opened:
        front.get_by_role("link", name="Open JupyterLab").first.click()
    opened.value.wait_for_url(attack.url(attack.colleague) + "*")
    assert opened.value.evaluate("window.opener === null")
    opened.value.close()
    front.close()


def test_a_service_worker_rules_its_own_origin_only(portal: Portal, attack: Attack, pages: Page) -> None:
    register = (
        "([script, scope]) => navigator.serviceWorker.register(script, {scope})"
        ".then(r => r.unregister().then(() => 'registered'), error => error.name)"
    )
    victim = attack.url(attack.victim, "/")
    for script, scope in (("/worker.js", portal.url), ("/worker.js", victim), (victim + "worker.js", "/")):
        assert pages.evaluate(register, [script, scope]) in ("SecurityError", "TypeError"), (script, scope)


def test_tickets_of_others_cannot_be_asked_for(portal: Portal, attack: Attack, pages: Page) -> None:
    """The colleague's page sends dana to the portal for a ticket of the victim, with a challenge of its own choice."""
    page = pages.context.new_page()
    try:
        page.goto(f"{portal.url}environments/open/{attack.victim.slug}/?path=/lab&challenge={'0' * 64}")
        expect(laboratory(page)).to_have_count(0)
        assert not page.url.startswith(attack.url(attack.colleague))
        for path in ("//evil.example/", "/\\evil.example", "https://evil.example/", "/%0d%0aSet-Cookie:x=1", "@evil"):
            page.goto(f"{portal.url}environments/open/{attack.colleague.slug}/?path={path}", wait_until="commit")
            assert page.url.startswith((attack.url(attack.colleague), portal.url)), (path, page.url)
    finally:
        page.close()


def test_cookies_cannot_be_planted(portal: Portal, attack: Attack, pages: Page) -> None:
    """Last: what is planted stays in this browser."""
    pages.goto(attack.url(attack.colleague, "/plant"))
    names = told(portal, attack.victim)["cookies"]
    for name in names:
        for domain in ("localhost", ".localhost", "apps.localhost", portal.host.partition(":")[0]):
            pages.evaluate("text => { document.cookie = text; }", f"{name}=planted; path=/; domain={domain}")
            pages.evaluate(
                "text => { document.cookie = text; }", f"{name}=planted; path=/environments; domain={domain}"
            )
    at_portal = pages.context.cookies(portal.url)
    assert "planted" not in {cookie.get("value") for cookie in at_portal}
    # What its scripts set for all applications together the browser takes; it opens nothing, and shuts nothing.
    victim = pages.context.new_page()
    victim.goto(attack.url(attack.victim, "/lab"))
    victim.wait_for_url("**/lab*")
    expect(laboratory(victim)).to_have_count(1)
    victim.close()
    # In a page of its own: JupyterLab goes on changing its address, which would break off this one's way.
    home = pages.context.new_page()
    home.goto(portal.url)
    expect(home.get_by_role("link", name="Launch").first).to_be_visible()
    home.close()


def test_a_flood_of_cookies_shuts_nobody_out(portal: Portal, attack: Attack, pages: Page) -> None:
    """What one application's page sets for all is sent to all, and too much to be taken: one reload frees of it."""
    pages.evaluate(
        "() => { for (let n = 0; n < 170; n++)"
        " document.cookie = `flood${n}=${'x'.repeat(3900)}; path=/; domain=apps.localhost`; }"
    )
    other = pages.context.new_page()
    other.goto(portal.url)
    assert other.get_by_role("link", name="Launch").first.is_visible(), "another site than the applications"
    answer = other.goto(attack.url(attack.victim, "/lab"))
    # Another tab that asks for something may have been told already, which frees all of them.
    if answer is not None and answer.status == 431:
        assert "reload the page" in other.content()
        other.reload()
    other.wait_for_url("**/lab*")
    expect(laboratory(other)).to_have_count(1)
    other.close()
