"""A module from an empty folder, as the guide says: registered from Git, its failing test mended, published, launched,
brought to its second version while it runs, with what people had written kept."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.catalog.git_server import Repository, served
from tests.e2e.conftest import Portal, sign_in
from tests.guide_module import version_raise, write_first, write_second

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

PATIENCE_MS = 120_000


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def address(repository: Repository, tmp_path: Path) -> Iterator[str]:
    with served(tmp_path) as base:
        yield f"{base}/modules.git"


def open_draft(page: Page, version: str) -> None:
    """From the source's page, which follows the retrieval by itself, to the version it made."""
    page.get_by_role("link", name=version, exact=True).first.click(timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", name=f"Team notes {version}")).to_be_visible()


def retrieve_again(page: Page, source: str, version: str) -> None:
    page.goto(source)
    page.get_by_role("button", name="Retrieve module").click()
    open_draft(page, version)


def publish(page: Page) -> None:
    """Once the checks have passed; the page follows them."""
    button = page.get_by_role("button", name="Publish version").first
    expect(button).to_be_enabled(timeout=PATIENCE_MS)
    button.click()
    expect(page.get_by_text("Published").first).to_be_visible()


def open_notes(page: Page) -> Page:
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open notes").first.click(timeout=PATIENCE_MS)
    notes = opened.value
    notes.wait_for_url(re.compile(r"\.apps\."), timeout=60_000)
    return notes


def test_the_guide_from_an_empty_folder_to_the_second_version(
    portal: Portal, browser: Browser, repository: Repository, address: str
) -> None:
    slug = f"notes-{uuid.uuid4().hex[:6]}"
    write_first(repository.work)
    test = repository.work / "notes" / "tests" / "notes.tftest.hcl"
    test.write_text(test.read_text().replace('== "Notes"', '== "Hello"'))
    repository.commit("Notes")

    # Registered, and its test fails: it cannot be published.
    pete = sign_in(browser, portal, "pete")
    pete.get_by_role("link", name="Modules").click()
    pete.get_by_role("link", name="Register module").click()
    pete.get_by_label("Short name").fill(slug)
    pete.get_by_label("Git address").fill(address)
    pete.get_by_label("Folder").fill("notes")
    pete.get_by_role("button", name="Retrieve module").click()
    pete.wait_for_url(re.compile(r"/modules/sources/"))
    source = pete.url
    open_draft(pete, "1.0.0")
    expect(pete.get_by_text("The server does not get the greeting.").first).to_be_visible(timeout=PATIENCE_MS)
    expect(pete.get_by_text("It cannot be published yet").first).to_be_visible(timeout=PATIENCE_MS)
    expect(pete.get_by_role("button", name="Publish version").first).to_be_disabled()

    # Mended and published.
    test.write_text(test.read_text().replace('== "Hello"', '== "Notes"'))
    version_raise(repository.work, "1.0.1")
    repository.commit("The test says what the module does")
    retrieve_again(pete, source, "1.0.1")
    publish(pete)

    # Launched, and used.
    dana = sign_in(browser, portal, "dana")
    dana.goto(f"{portal.url}environments/launch/{slug}/")
    dana.get_by_label("Name").fill(slug)
    dana.get_by_label("Greeting").fill("Our notes")
    dana.get_by_label("Open when ready").uncheck()
    dana.locator("main").get_by_role("button", name="Launch").click()
    dana.wait_for_url(re.compile(r"/environments/[0-9a-f-]{36}/"))
    environment = dana.url
    notes = open_notes(dana)
    expect(notes.get_by_role("heading", name="Our notes")).to_be_visible()
    notes.get_by_label("Note").fill("Bring the <b>cake</b>")
    notes.get_by_role("button", name="Add note").click()
    expect(notes.get_by_text("Bring the <b>cake</b>")).to_be_visible()
    notes.close()

    # A second version asks for one thing more; the running one is brought to it, and keeps what was written.
    write_second(repository.work)
    repository.commit("A line for readers")
    retrieve_again(pete, source, "1.1.0")
    pete.get_by_role("link", name="Changes").click()
    expect(pete.get_by_text("readers_note").first).to_be_visible()
    publish(pete)

    dana.goto(environment)
    dana.get_by_role("button", name="More actions").click()
    dana.get_by_role("link", name="Upgrade to 1.1.0").click()
    dana.get_by_text("New settings").click()
    dana.get_by_label("Readers note").fill("please sign")
    dana.get_by_role("button", name="Upgrade to 1.1.0").click()
    dana.wait_for_url(re.compile(r"/environments/[0-9a-f-]{36}/"))
    dana.goto(environment)
    expect(dana.get_by_text("1.1.0").first).to_be_visible(timeout=PATIENCE_MS)
    notes = open_notes(dana)
    expect(notes.get_by_role("heading", name="Our notes: please sign")).to_be_visible()
    expect(notes.get_by_text("Bring the <b>cake</b>")).to_be_visible()
