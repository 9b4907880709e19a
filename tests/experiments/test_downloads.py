"""Downloads through a portal of its own process: any size with flat memory, ranges, and clients that leave."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest
import requests

from tests.core.serving import free_port
from tests.experiments.conftest import ROOT, process_end, wait_until_healthy
from tests.experiments.run_making import Study, browser_of, study_make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
MB = 1024 * 1024
# Files are sparse, so that they cost no disk.
LARGE = 512 * MB
VERY_LARGE = 2048 * MB
ALLOWED_GROWTH = 24 * MB


@dataclass
class Portal:
    url: str
    process: "subprocess.Popen[bytes]"

    def get(self, user: Any, address: str, **options: Any) -> requests.Response:
        cookies = {name: morsel.value for name, morsel in browser_of(user).cookies.items()}
        return requests.get(self.url + address, cookies=cookies, timeout=60, **options)

    @property
    def memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


@pytest.fixture
def people(db: None) -> Any:
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def study(tracker: Any, people: Any) -> Study:
    return study_make(tracker, people.vision)


@pytest.fixture
def portal(study: Study, tmp_path: Any) -> Iterator[Portal]:
    """Web alone, on this test's database and MLflow."""
    from django.db import connection

    port, log = free_port(), tmp_path / "web.log"
    head, _, tail = os.environ["DATABASE_URL"].partition("?")
    database = head.rpartition("/")[0] + f"/{connection.settings_dict['NAME']}" + (f"?{tail}" if tail else "")
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "MLFLOW_TRACKING_URI": study.server.url,
        "MLFLOW_SERVER_SECRET": study.server.secret,
    }
    command = [sys.executable, "-m", "uvicorn", "portal.asgi:application", "--port", str(port), "--log-level", "error"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/healthz", process, log)
        yield Portal(f"http://127.0.0.1:{port}", process)
    finally:
        process_end(process)


def large_file(study: Study, run_id: str, size: int) -> str:
    folder = study.server.folder / "artifacts" / study.experiment.pk / run_id / "artifacts"
    folder.mkdir(parents=True)
    name = f"weights-{secrets.token_hex(2)}.bin"
    with (folder / name).open("wb") as file:
        file.truncate(size - 4)
        file.seek(size - 4)
        file.write(b"tail")
    return name


@pytest.mark.parametrize("size", [LARGE, pytest.param(VERY_LARGE, marks=pytest.mark.matrix)])
def test_a_file_of_any_size_passes_with_flat_memory(portal: Portal, study: Study, people: Any, size: int) -> None:
    run_id = study.run()
    address = f"/experiments/runs/{run_id}/artifacts/file/?path={large_file(study, run_id, size)}"
    portal.get(people.dana, f"/experiments/runs/{run_id}/")
    before, most, received, last = portal.memory, 0, 0, b""
    with portal.get(people.dana, address, stream=True) as answer:
        assert answer.status_code == 200
        assert int(answer.headers["Content-Length"]) == size
        assert answer.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''weights-")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for number, chunk in enumerate(answer.iter_content(4 * MB)):
            received += len(chunk)
            last = chunk
            if number % 16 == 0:
                most = max(most, portal.memory)
    assert (received, last[-4:]) == (size, b"tail")
    assert most - before < ALLOWED_GROWTH, f"{(most - before) / MB:.0f} MB more"


def test_a_slow_reader_fills_no_memory_and_one_that_leaves_ends_the_request(
    portal: Portal, study: Study, people: Any
) -> None:
    run_id = study.run()
    address = f"/experiments/runs/{run_id}/artifacts/file/?path={large_file(study, run_id, LARGE)}"
    portal.get(people.dana, f"/experiments/runs/{run_id}/")
    before = portal.memory
    upstream = int(study.server.url.rpartition(":")[2])
    answer = portal.get(people.dana, address, stream=True)
    next(answer.iter_content(1 * MB))
    time.sleep(2)
    assert portal.memory - before < ALLOWED_GROWTH
    assert open_to(portal, upstream) >= 1
    answer.close()
    deadline = time.monotonic() + 15
    # A kept connection, unused for four seconds, is closed as well.
    while open_to(portal, upstream) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert open_to(portal, upstream) == 0


def open_to(portal: Portal, port: int) -> int:
    found = psutil.Process(portal.process.pid).net_connections("tcp")
    return sum(1 for one in found if one.raddr and one.raddr.port == port and one.status == "ESTABLISHED")


def test_parts_of_a_file_and_a_file_that_did_not_change(portal: Portal, study: Study, people: Any) -> None:
    run_id = study.run()
    study.put(run_id, {"letters.txt": b"abcdefghij"})
    address = f"/experiments/runs/{run_id}/artifacts/file/?path=letters.txt"
    whole = portal.get(people.dana, address)
    assert (whole.status_code, whole.content) == (200, b"abcdefghij")
    part = portal.get(people.dana, address, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"cde", "bytes 2-4/10")
    assert portal.get(people.dana, address, headers={"Range": "bytes=99-"}).status_code == 416
    unchanged = portal.get(people.dana, address, headers={"If-None-Match": whole.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    cookies = {name: morsel.value for name, morsel in browser_of(people.dana).cookies.items()}
    head = requests.head(portal.url + address, cookies=cookies, timeout=30)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "10", b"")


def test_only_who_may_see_the_run_gets_its_files(portal: Portal, study: Study, people: Any) -> None:
    run_id = study.run()
    study.put(run_id, {"letters.txt": b"abcdefghij", "page.html": b"<script>1</script>"})
    address = f"/experiments/runs/{run_id}/artifacts/file/?path=letters.txt"
    assert portal.get(people.mallory, address).status_code == 404
    anonymous = requests.get(portal.url + address, timeout=30, allow_redirects=False)
    assert (anonymous.status_code, "sign-in" in anonymous.headers["Location"]) == (302, True)
    assert portal.get(people.dana, address.replace("letters", "nothing")).status_code == 404
    refused = portal.get(people.dana, address.replace("letters.txt", "..%2F..%2Fx"))
    assert refused.status_code == 400
    framed = portal.get(people.dana, f"/experiments/runs/{run_id}/artifacts/frame/?path=page.html")
    assert framed.content == b"<script>1</script>"
    assert framed.headers["Content-Security-Policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert framed.headers["Content-Type"] == "text/html; charset=utf-8"
    assert framed.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_a_server_that_breaks_off_gives_no_whole_file(portal: Portal, study: Study, people: Any) -> None:
    """The file is shortened while it is read: the client learns that it has not got all of it."""
    run_id = study.run()
    name = large_file(study, run_id, 256 * MB)
    path = study.server.folder / "artifacts" / study.experiment.pk / run_id / "artifacts" / name
    address = f"/experiments/runs/{run_id}/artifacts/file/?path={name}"
    with portal.get(people.dana, address, stream=True) as answer:
        chunks = answer.iter_content(1 * MB)
        received = sum(len(next(chunks)) for _ in range(8))
        os.truncate(path, 9 * MB)
        with pytest.raises(requests.RequestException):
            received += sum(len(chunk) for chunk in chunks)
    assert received < 256 * MB
