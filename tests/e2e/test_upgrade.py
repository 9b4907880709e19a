"""A new version reaches a running environment by a rollout, with its files kept; one that would lose them is caught."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import ROOT, Portal, sign_in
from tests.faults.versions import Edit, drops_message, moves_everything, quick_copy

pytestmark = [pytest.mark.e2e, pytest.mark.matrix, pytest.mark.timeout(300)]
SECONDS = 1000.0


def publish(portal: Portal, folder: Path, number: str, edit: Edit = lambda path: None) -> None:
    path = quick_copy(folder, number, edit)
    command = [sys.executable, "manage.py", "register_module", str(path)]
    subprocess.run(command, cwd=ROOT, env=portal.environ(), check=True, capture_output=True)


def reach(portal: Portal, token: str, pk: object, status: str, version: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        _, shown = portal.get(f"api/v1/environments/{pk}/", token)
        if (shown["status"], shown["version"]) == (status, version):
            return
        assert time.monotonic() < deadline, shown
        assert shown["status"] != "failed", shown
        time.sleep(0.3)


def test_files_outlive_a_rollout_and_are_lost_only_by_name(portal: Portal, browser: Browser, tmp_path: Path) -> None:
    publish(portal, tmp_path, "1.0.0")
    token = portal.token("dana")
    python = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
    wish = {"name": "kept", "team": "vision", "module": "quick", "inputs": {"python": python, "message": "old"}}
    status, made = portal.call("POST", "api/v1/environments/", wish, token)
    assert status == 201, made
    pk = made["id"]
    reach(portal, token, pk, "running", "1.0.0")
    work = portal.data / "agent" / "volumes" / str(pk) / "home" / "work.txt"
    work.write_text("a day's work")

    publish(portal, tmp_path, "2.0.0", drops_message)
    pete = sign_in(browser, portal, "pete")
    pete.goto(f"{portal.url}modules/quick/")
    pete.get_by_role("link", name="Where it runs").click()
    pete.get_by_role("link", name="Roll out 2.0.0").click()
    expect(pete.get_by_text("Wants a value for “Greeting”.")).to_be_visible()
    pete.get_by_label("Greeting").fill("hello")
    pete.get_by_role("button", name="Upgrade 1 environment to 2.0.0").click()
    expect(pete.get_by_text("1 of 1 settled")).to_be_visible(timeout=90 * SECONDS)
    expect(pete.get_by_text("Finished").first).to_be_visible(timeout=20 * SECONDS)
    reach(portal, token, pk, "running", "2.0.0")
    assert work.read_text() == "a day's work"

    publish(portal, tmp_path, "3.0.0", moves_everything)
    dana = sign_in(browser, portal, "dana")
    dana.goto(f"{portal.url}environments/{pk}/")
    dana.get_by_role("button", name="More actions").click()
    dana.get_by_role("link", name="Upgrade to 3.0.0").click()
    dana.get_by_role("button", name="Upgrade to 3.0.0").click()
    dana.get_by_role("link", name="See what will change").first.click(timeout=60 * SECONDS)
    expect(dana.get_by_text("Your files")).not_to_have_count(0)
    expect(dana.get_by_text("Will be lost")).to_be_visible()
    dana.get_by_role("button", name="Discard change").click()
    reach(portal, token, pk, "running", "2.0.0")
    assert work.read_text() == "a day's work"
    portal.call("POST", f"api/v1/environments/{pk}/destroy/", {"confirm": "kept"}, token)
