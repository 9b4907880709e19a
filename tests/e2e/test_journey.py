"""The main journey, in a real browser: launch, JupyterLab, a run in MLflow, stop, start with the files, destroy."""

import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Portal, sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CELL = """
import mlflow
with mlflow.start_run(run_name="{name}") as run:
    mlflow.log_metric("accuracy", 0.875)
open("kept.txt", "w").write("still here")
print("RUN", run.info.run_id)
"""


def wait_for(reached: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := reached()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.3)
    return value


def status_of(portal: Portal, token: str, environment_id: str) -> str:
    return str(portal.get(f"api/v1/environments/{environment_id}/", token)[1].get("status"))


def run_cell(page: Page, code: str) -> str:
    """Execute `code` in a new kernel through the proxied WebSocket, from the page's origin; returns its output."""
    return str(
        page.evaluate(
            """async ({code, session}) => {
              const xsrf = (document.cookie.match(/_xsrf=([^;]+)/) || [])[1] || "";
              const made = await fetch("/api/kernels", {method: "POST", headers: {"X-XSRFToken": xsrf},
                                                        body: JSON.stringify({name: "python3"})});
              if (!made.ok) throw new Error("kernel: " + made.status + " " + await made.text());
              const kernel = await made.json();
              const scheme = location.protocol === "https:" ? "wss://" : "ws://";
              const channels = `/api/kernels/${kernel.id}/channels?session_id=${session}`;
              const socket = new WebSocket(scheme + location.host + channels);
              await new Promise((open, fail) => {
                socket.onopen = open;
                socket.onerror = () => fail(new Error("socket"));
              });
              const header = {msg_id: session, username: "", session, msg_type: "execute_request", version: "5.3",
                              date: new Date().toISOString()};
              const output = await new Promise((done, fail) => {
                let text = "";
                setTimeout(() => fail(new Error("nothing within 90 s: " + text)), 90000);
                socket.onclose = () => fail(new Error("closed: " + text));
                socket.onmessage = event => {
                  const message = JSON.parse(event.data);
                  if ((message.parent_header || {}).msg_id !== session) return;
                  if (message.msg_type === "stream") text += message.content.text;
                  if (message.msg_type === "error") fail(new Error(message.content.traceback.join("\\n")));
                  if (message.msg_type === "status" && message.content.execution_state === "idle" && text) done(text);
                };
                socket.send(JSON.stringify({header, parent_header: {}, metadata: {}, channel: "shell",
                  content: {code, silent: false, store_history: false, user_expressions: {}, allow_stdin: false,
                            stop_on_error: true}}));
              });
              socket.onclose = null;
              socket.close();
              return output;
            }""",
            {"code": code, "session": uuid.uuid4().hex},
        )
    )


def test_from_the_click_to_jupyterlab_and_back(portal: Portal, browser: Browser) -> None:
    token = portal.token("dana")
    page = sign_in(browser, portal, "dana")

    # Three clicks, no typing.
    page.get_by_role("link", name="Launch").first.click()
    page.get_by_role("heading", name="Notebook", exact=True).click()
    page.get_by_label("Open when ready").uncheck()
    page.locator("main").get_by_role("button", name="Launch").click()
    page.wait_for_url(re.compile(r"/environments/[0-9a-f-]{36}/"))
    environment_id = re.search(r"[0-9a-f-]{36}", page.url)[0]  # type: ignore[index]

    # The page follows by itself, without a reload.
    page.evaluate("window.notReloaded = true")
    expect(page.get_by_role("link", name="Open JupyterLab").first).to_be_visible(timeout=120_000)
    assert page.evaluate("window.notReloaded") is True
    environment = portal.get(f"api/v1/environments/{environment_id}/", token)[1]
    assert environment["status"] == "running"

    # One click to JupyterLab, at an origin of its own.
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open JupyterLab").first.click()
    lab = opened.value
    lab.wait_for_url(re.compile(rf"http://{environment['slug']}\.apps\.{re.escape(portal.host)}/lab"), timeout=30_000)
    lab.get_by_role("menubar").first.wait_for(timeout=60_000)

    # A cell runs through the proxied WebSocket; its run is in MLflow, tagged without a word from the person.
    name = f"journey-{uuid.uuid4().hex[:8]}"
    output = run_cell(lab, CELL.format(name=name))
    run_id = re.search(r"RUN (\w+)", output)[1]  # type: ignore[index]
    answer = portal.get(f"mlflow/api/2.0/mlflow/runs/get?run_id={run_id}", token)[1]
    run: dict[str, Any] = answer["run"]  # type: ignore[assignment]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    change = portal.get(f"api/v1/changes/?environment={environment_id}", token)[1]["results"][0]  # type: ignore[index]
    assert tags["slipway.team"] == environment["team"]
    assert tags["slipway.user"] == "dana"
    assert tags["slipway.environment_id"] == environment_id
    assert tags["slipway.module_version"] == environment["version"]
    assert tags["slipway.plan_hash"] == change["plan_hash"]  # type: ignore[index]
    assert re.fullmatch(r"[0-9a-f]{64}", tags["slipway.runtime_digest"])

    # Stop frees the processes and keeps the files.
    page.bring_to_front()
    page.get_by_role("button", name="Stop").first.click()
    expect(page.get_by_text("Stopped, files kept").first).to_be_visible(timeout=60_000)

    # A bookmark to the stopped environment says so and starts nothing; one button starts it and leads to the path.
    lab.goto(f"http://{environment['slug']}.apps.{portal.host}/lab/tree/kept.txt")
    expect(lab.get_by_role("button", name="Start and open")).to_be_visible()
    assert status_of(portal, token, environment_id) == "stopped"
    lab.get_by_role("button", name="Start and open").click()
    lab.wait_for_url(re.compile(rf"http://{environment['slug']}\.apps\..*/lab/tree/kept\.txt"), timeout=90_000)
    kept = lab.evaluate("fetch('/api/contents/kept.txt').then(r => r.json()).then(f => f.content)")
    assert kept == "still here"

    # Destroy asks for the name, because files would be lost.
    page.goto(f"{portal.url}environments/{environment_id}/destroy/")
    destroy = page.locator("main form:has(input[name=confirm]) button[type=submit]")
    page.locator("main input[name=confirm]").fill("something else")
    expect(destroy).to_be_disabled()
    page.locator("main input[name=confirm]").fill(str(environment["name"]))
    destroy.click()
    wait_for(lambda: status_of(portal, token, environment_id) == "destroyed", 60, "destroyed")
    assert not (portal.data / "agent" / "volumes" / environment_id).exists()
    page.context.close()


def test_two_lines_name_the_exact_code(portal: Portal, browser: Browser) -> None:
    """In a Git work tree the run carries the commit and whether the tree was dirty when it started."""
    token = portal.token("mira")
    name = f"git {uuid.uuid4().hex[:6]}"
    made = portal.call(
        "POST",
        "api/v1/environments/",
        {"name": name, "team": "churn", "module": "local-notebook", "preset": "small", "inputs": {}},
        token,
    )
    assert made[0] == 201, made
    environment_id, slug = str(made[1]["id"]), str(made[1]["slug"])
    wait_for(lambda: status_of(portal, token, environment_id) == "running", 180, "running")
    page = sign_in(browser, portal, "mira")
    page.goto(f"{portal.url}environments/{environment_id}/open/")
    page.wait_for_url(re.compile(rf"http://{slug}\."), timeout=30_000)
    output = run_cell(
        page,
        "import subprocess, mlflow, os\n"
        "os.makedirs('work', exist_ok=True); os.chdir('work')\n"
        "git = lambda *a: subprocess.run(['git', '-c', 'user.name=m', '-c', 'user.email=m@example.org', *a], "
        "check=True, capture_output=True, text=True).stdout.strip()\n"
        "git('init', '-q'); open('a.py', 'w').write('1'); git('add', '.'); git('commit', '-qm', 'first')\n"
        "open('a.py', 'w').write('2')\n"
        "with mlflow.start_run() as run: pass\n"
        "import json; print(json.dumps([run.info.run_id, git('rev-parse', 'HEAD')]))\n",
    )
    run_id, commit = json.loads(output.strip().splitlines()[-1])
    run: dict[str, Any] = portal.get(f"mlflow/api/2.0/mlflow/runs/get?run_id={run_id}", token)[1]["run"]  # type: ignore[assignment]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["slipway.git.commit"] == tags["mlflow.source.git.commit"] == commit
    assert tags["slipway.git.dirty"] == "true"
    portal.call("POST", f"api/v1/environments/{environment_id}/destroy/", {"confirm": name}, token)
    page.context.close()


def test_a_failed_launch_says_why_and_can_be_tried_again(portal: Portal, browser: Browser) -> None:
    """The repository does not exist: told at once, in words, with Terraform's own diagnostic underneath."""
    page = sign_in(browser, portal, "dana")
    page.goto(
        f"{portal.url}environments/launch/local-notebook/?repository=https://localhost:1/none.git&name=broken+{uuid.uuid4().hex[:6]}"
    )
    page.get_by_label("Open when ready").uncheck()
    page.locator("main").get_by_role("button", name="Launch").click()
    page.wait_for_url(re.compile(r"/environments/[0-9a-f-]{36}/"))
    expect(page.get_by_text("Couldn't start").first).to_be_visible(timeout=90_000)
    expect(page.get_by_text(re.compile("repository", re.IGNORECASE)).first).to_be_visible()
    expect(page.get_by_role("button", name="Try again").first).to_be_visible()
    page.context.close()
