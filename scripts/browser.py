"""The browser of the end-to-end tests: CHROMIUM, one on PATH, Playwright's own, or one installed now."""

import os
import shutil
import subprocess

from steps import PYTHON, StepFailed, run, step

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PROBE = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""


def browser_ensure():
    """The path of a Chromium that starts; installs one where the machine has none.

    Raises StepFailed, with what to do, when none can be had: the browser journeys are part of the suite, never skipped.
    """
    given = os.environ.get("CHROMIUM")
    if given:
        if not _starts(given):
            raise StepFailed(f"CHROMIUM: {given} does not start; give the path of a working Chromium or Chrome.")
        return given
    found = _find()
    if found:
        return found
    with step("Installing Chromium for the browser tests"):
        attempts = [_install_by_playwright]
        if os.geteuid() == 0 and shutil.which("apt-get"):
            attempts.append(_install_by_apt)
        problems = []
        for attempt in attempts:
            try:
                attempt()
            except StepFailed as error:
                problems.append(str(error))
                continue
            found = _find()
            if found:
                return found
            problems.append("What was installed does not start; system libraries may be missing.")
        raise StepFailed(
            "\n".join(problems) + "\nNo Chromium can be had. Install one (`apt-get install chromium`) "
            "or name one: `make test CHROMIUM=/path/to/chrome`."
        )


def _find():
    for name in NAMES:
        path = shutil.which(name)
        if path and _starts(path):
            return path
    probe = subprocess.run([PYTHON, "-c", PROBE], capture_output=True, text=True)
    path = probe.stdout.strip()
    return path if path and _starts(path) else None


def _starts(path):
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _install_by_playwright():
    run([PYTHON, "-m", "playwright", "install", "chromium"])


def _install_by_apt():
    environ = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], env=environ)
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], env=environ)
