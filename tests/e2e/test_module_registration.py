"""A platform engineer registers a module from Git, sees its test fail, mends it and publishes it: in the browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.catalog.git_server import Repository, served
from tests.catalog.modules import module_write
from tests.e2e.conftest import Portal, sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.matrix, pytest.mark.timeout(300)]

VARIABLES = 'variable "size" {\n  description = "How large."\n  type        = number\n  default     = 1\n}\n'
MAIN = 'resource "terraform_data" "size" {\n  input = var.size\n}\n'
TEST = """\
run "one" {
  command = plan

  assert {
    condition     = terraform_data.size.input == WANTED
    error_message = "The size is another one."
  }
}
"""


def test_register_see_the_test_fail_mend_and_publish(browser: Browser, portal: Portal, tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    module = module_write(repository.work / "journey", VARIABLES, **{"main.tf": MAIN})
    test = module / "tests" / "size.tftest.hcl"
    test.parent.mkdir()
    test.write_text(TEST.replace("WANTED", "2"))
    repository.commit("a test that fails")
    page = sign_in(browser, portal, "pete")
    with served(tmp_path) as git:
        page.goto(f"{portal.url}modules/register/")
        page.get_by_label("Short name").fill("journey")
        page.get_by_label("Git address").fill(f"{git}/modules.git")
        page.get_by_label("Folder").fill("journey")
        page.get_by_role("button", name="Retrieve module").click()
        # The page follows the retrieval, then the checks, without being reloaded.
        page.get_by_role("link", name="1.0.0").click(timeout=60_000)
        expect(page.get_by_text("It cannot be published yet")).to_be_visible(timeout=120_000)
        expect(page.get_by_role("cell", name="The size is another one.")).to_be_visible()
        expect(page.get_by_role("button", name="Publish version")).to_have_attribute("aria-disabled", "true")

        test.write_text(TEST.replace("WANTED", "1"))
        manifest = module / "module.yaml"
        manifest.write_text(manifest.read_text().replace("version: 1.0.0", "version: 1.0.1"))
        repository.commit("mended")
        page.goto(f"{portal.url}modules/sources/")
        page.get_by_role("link", name="journey").click()
        page.get_by_role("button", name="Retrieve module").click()
        page.get_by_role("link", name="1.0.1").click(timeout=60_000)
        expect(page.get_by_text("The checks are running")).to_be_hidden(timeout=120_000)
        page.get_by_role("button", name="Publish version").click()
        expect(page.get_by_text("it can be launched now")).to_be_visible()
    dana = sign_in(browser, portal, "dana")
    dana.goto(f"{portal.url}modules/journey/?tab=versions")
    expect(dana.get_by_role("link", name="1.0.1")).to_be_visible()
    expect(dana.get_by_role("link", name="1.0.0")).to_be_hidden()
