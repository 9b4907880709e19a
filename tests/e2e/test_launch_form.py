"""The launch form with every kind of bad input: in a browser, by a plain POST, without JavaScript, and sent twice."""

import time
import uuid
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.notebook import LAUNCH_FORM, notebooks_destroy, page_post

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

GOOD = {
    "team": "churn",
    "preset": "small",
    "shown_preset": "small",
    "ttl": "28800",
    "input-cpu": "1",
    "input-memory_gb": "2",
    "input-health_timeout_s": "60",
    "input-repository": "",
}
# Field, what is typed, what is said beside it.
BAD = [
    ("name", "", "Give it a name"),
    ("name", "   ", "Give it a name"),
    ("name", "x" * 61, "At most 60 characters"),
    ("name", "\u202e\u202d", "at least one letter"),
    ("name", "🙂🙂", "at least one letter"),
    ("name", "nb\u202echurn", "cannot be seen"),
    ("input-cpu", "0", "between 0.5 and 64"),
    ("input-cpu", "1e9", "between 0.5 and 64"),
    ("input-cpu", "abc", "Enter a number"),
    ("input-cpu", "NaN", "Enter a number"),
    ("input-cpu", "-inf", "Enter a number"),
    ("input-cpu", "1.3", "whole or half cores"),
    ("input-cpu", "9" * 400, "usual size"),
    ("input-memory_gb", "0", "between 1 and 256"),
    ("input-memory_gb", "257", "between 1 and 256"),
    ("input-repository", "not an address", "starts with https://"),
    ("input-repository", "file:///etc/passwd", "starts with https://"),
    ("input-repository", "--upload-pack=touch /x", "starts with https://"),
    ("input-repository", "https://me:secret@example.com/a.git", "password out of the address"),
    ("input-environment_variables", "no equals sign", "NAME=value"),
    ("input-environment_variables", "1A=b", "start with a letter"),
    ("input-environment_variables", "A=1\nA=2", "appears twice"),
    ("input-environment_variables", "PATH=/mine", "set by Slipway"),
    ("input-health_timeout_s", "60.5", "whole number"),
]
# What only a request made by hand can hold; said on top where no field is shown for it.
FORGED = [
    ({"preset": "huge"}, "There is no size"),
    ({"ttl": "99999999"}, "Choose one of these times"),
    ({"ttl": "NaN"}, "Choose one of these times"),
    ({"team": "pricing"}, "Choose a team you belong to"),
    ({"team": "' OR 1=1 --"}, "Choose a team you belong to"),
    ({"input-secret_variables": "LD_PRELOAD=/x"}, "set by Slipway"),
]


@pytest.fixture(scope="module")
def token(portal: Portal) -> str:
    return portal.token("dana")


@pytest.fixture(scope="module")
def page(portal: Portal, browser: Browser) -> Iterator[Page]:
    page = sign_in(browser, portal, "dana")
    yield page
    page.context.close()


def names(portal: Portal, token: str) -> list[str]:
    rows = portal.get("api/v1/environments/?page_size=100", token)[1]["results"]
    return sorted(row["name"] for row in rows)  # type: ignore[attr-defined, call-overload]


def field_fill(page: Page, field: str, value: str) -> None:
    """As if typed; a number field takes text too, as in a browser without number fields."""
    page.evaluate(
        """([field, value]) => {
          const control = document.querySelector(`[name="${field}"]`);
          control.closest("details")?.setAttribute("open", "");
          if (control.type === "number") control.type = "text";
          control.removeAttribute("maxlength");
          control.value = value;
        }""",
        [field, value],
    )


def test_every_mistake_is_said_beside_its_field(portal: Portal, page: Page, token: str) -> None:
    before = names(portal, token)
    for field, value, said in BAD:
        page.goto(portal.url + LAUNCH_FORM)
        field_fill(page, field, value)
        with page.expect_navigation() as sent:
            page.locator("main form").get_by_role("button", name="Launch").click()
        assert sent.value.status == 422, (field, value[:40])
        control = page.locator(f"[name='{field}']")
        expect(control).to_be_visible()
        expect(control).to_have_attribute("aria-invalid", "true")
        described = (control.get_attribute("aria-describedby") or "").split()
        texts = [page.locator(f"[id='{one}']").inner_text() for one in described]
        assert any(said in text for text in texts), (field, value[:40], texts)
        if control.get_attribute("type") != "number":
            assert control.input_value() == value, field
        else:
            assert control.get_attribute("value") == value, field
        expect(page.locator("main [role=alert]")).to_be_visible()
    assert names(portal, token) == before


def test_forged_requests_are_refused_and_never_an_error_of_ours(portal: Portal, page: Page, token: str) -> None:
    before = names(portal, token)
    page.goto(portal.url + LAUNCH_FORM)
    cases = [({"name": "forged"} | forged, said) for forged, said in FORGED]
    cases += [({"name": "forged", field: value}, said) for field, value, said in BAD]
    for forged, said in cases:
        answer = page_post(page, portal, LAUNCH_FORM, **(GOOD | forged))
        assert answer.status == 422, forged
        assert said.split("’")[0] in answer.text(), forged
    for field in ("name", "input-repository", "input-cpu"):
        unwritable = page_post(page, portal, LAUNCH_FORM, **(GOOD | {field: "1\0"}))
        assert unwritable.status == 400
        assert f"The field “{field}” holds a NUL character" in unwritable.text()
    assert page_post(page, portal, LAUNCH_FORM, name="forged", csrfmiddlewaretoken="wrong").status == 403
    empty = page_post(page, portal, LAUNCH_FORM)
    assert empty.status == 422
    assert names(portal, token) == before


def test_links_fill_the_form_but_never_secrets_and_never_markup(portal: Portal, page: Page, token: str) -> None:
    before = names(portal, token)
    hostile = '"><script>window.hit = 1</script><img src=x onerror="window.hit = 1">'
    query = {
        "name": hostile,
        "repo": "https://example.com/${jndi:ldap://x}.git",
        "preset": "large",
        "team": "pricing",
        "ttl": "9" * 30,
        "secret_variables": "TOKEN=of-a-link",
        "input-secret_variables": "TOKEN=of-a-link",
        "environment_variables": "A=</textarea><script>window.hit = 1</script>",
        "slipway": "{}",
        "cpu": "abc",
    }
    answer = page.goto(f"{portal.url}{LAUNCH_FORM}?{urlencode(query)}")
    assert answer is not None
    assert answer.status == 200
    assert page.locator("main [name='input-secret_variables']").input_value() == ""
    assert page.evaluate("window.hit") is None
    assert page.get_by_label("Name").input_value() == hostile[:60]
    assert page.get_by_label("Git repository").input_value() == query["repo"]
    assert page.locator("#id_team").input_value() in ("churn", "vision")
    expect(page.get_by_role("radio", name="Large")).to_be_checked()
    assert names(portal, token) == before
    strange = page.goto(f"{portal.url}{LAUNCH_FORM}?preset=huge&ttl=NaN&team=%F0%9F%99%82&cpu=1e999")
    assert strange is not None
    assert strange.status == 200
    null = page.goto(f"{portal.url}{LAUNCH_FORM}?name=%00")
    assert null is not None
    assert null.status == 400


@pytest.mark.matrix
def test_hostile_names_are_text(portal: Portal, page: Page, token: str) -> None:
    """A name may hold nearly anything; on every page it stays a name."""
    name = f'<b>"nb" ${{jndi}} {{{{7*7}}}} 🙂</b> {int(time.time())}'[:60]
    page.goto(portal.url + LAUNCH_FORM)
    answer = page_post(page, portal, LAUNCH_FORM, **GOOD, name=name)
    assert answer.status == 302, answer.text()
    address = portal.url.rstrip("/") + answer.headers["location"]
    try:
        for path in (address, portal.url, portal.url + "environments/", portal.url + "search/?q=jndi"):
            page.goto(path)
            expect(page.get_by_text(name, exact=True).first).to_be_visible()
        page.goto(portal.url + LAUNCH_FORM)
        again = page_post(page, portal, LAUNCH_FORM, **GOOD, name=name)
        assert again.status == 422
        assert "You already have an environment" in again.text()
    finally:
        notebooks_destroy(portal, token, name)


@pytest.mark.matrix
def test_sent_twice_makes_one(portal: Portal, page: Page, token: str) -> None:
    """Two quick clicks, and the same request again, as after "Confirm form resubmission"."""
    clicked, posted = f"twice {int(time.time())}", f"again {int(time.time())}"
    try:
        page.goto(portal.url + LAUNCH_FORM)
        page.get_by_label("Name").fill(clicked)
        page.locator("main form").get_by_role("button", name="Launch").dblclick()
        page.wait_for_url("**/environments/*-*-*-*-*/**")
        form = GOOD | {"name": posted, "token": str(uuid.uuid4())}
        first, second = (page_post(page, portal, LAUNCH_FORM, **form) for _ in range(2))
        assert (first.status, second.status) == (302, 302)
        assert first.headers["location"] == second.headers["location"]
        found = names(portal, token)
        assert (found.count(clicked), found.count(posted)) == (1, 1)
    finally:
        notebooks_destroy(portal, token, clicked, posted)


def test_without_javascript(portal: Portal, browser: Browser, token: str) -> None:
    page = sign_in(browser, portal, "dana", java_script_enabled=False)
    name = f"plain {int(time.time())}"
    try:
        page.goto(portal.url + LAUNCH_FORM)
        page.get_by_label("Name").fill(name)
        page.get_by_role("radio", name="Large").check()
        page.get_by_text("More settings").click()
        page.get_by_label("Disk limit (GB)").fill("0.1")
        launch = page.locator("main form").get_by_role("button", name="Launch")
        launch.click()
        expect(page.get_by_label("Disk limit (GB)")).to_be_visible()
        expect(page.get_by_text("between 1 and 10000 GB")).to_be_visible()
        expect(page.get_by_role("radio", name="Large")).to_be_checked()
        assert page.get_by_label("Name").input_value() == name
        page.get_by_label("Disk limit (GB)").fill("")
        launch.click()
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        row = next(
            row
            for row in portal.get("api/v1/environments/?page_size=100", token)[1]["results"]  # type: ignore[attr-defined]
            if row["name"] == name
        )
        assert (row["preset"], row["inputs"]["cpu"], row["inputs"]["memory_gb"]) == ("large", 2, 8)
    finally:
        page.context.close()
        notebooks_destroy(portal, token, name)
