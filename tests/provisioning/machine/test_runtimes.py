"""Runtimes: built once by uv from a lock text with hashes, shared by digest, seen by services."""

import json
import os
import subprocess
import sys
import threading
import zipfile
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from apps.provisioning.machine.layout import Layout
from apps.provisioning.machine.runtimes import Runtimes

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def wheel_make(folder: Path, name: str, content: dict[str, bytes], **more: bytes) -> str:
    """A wheel of version 1.0 in the folder `wheels`; its line in a lock."""
    module = name.replace("-", "_")
    wheel = folder / "wheels" / f"{module}-1.0-py3-none-any.whl"
    wheel.parent.mkdir(exist_ok=True)
    files = {
        **content,
        f"{module}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{module}-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **{f"{module}-1.0.dist-info/{part}.txt": text for part, text in more.items()},
    }
    record = "".join(
        f"{name},sha256={urlsafe_b64encode(sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for name, data in files.items()
    )
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in {**files, f"{module}-1.0.dist-info/RECORD": record.encode()}.items():
            archive.writestr(path, data)
    return f"{name}==1.0 \\\n    --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """A lock text for one small package from a folder of wheels, so that no network is needed."""
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    content = {"slipway_probe.py": b"ANSWER = 42\n\ndef main():\n    print(ANSWER)\n"}
    return wheel_make(
        tmp_path, "slipway-probe", content, entry_points=b"[console_scripts]\nslipway-probe = slipway_probe:main\n"
    )


def test_built_once_and_used_by_a_service(bench, lock):
    answers = []
    body = {"requirements": lock, "python": PYTHON}
    threads = [threading.Thread(target=lambda: answers.append(bench.ask("PUT", "/v1/runtimes", body))) for _ in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _runtime in answers) == [200, 200, 201], answers
    runtime = answers[0][1]
    assert {answer["id"] for _status, answer in answers} == {runtime["id"]}
    assert runtime["python"].startswith(f"{PYTHON}.")
    command = ["/bin/sh", "-c", "slipway-probe; which python; exec python server.py"]
    service = bench.service(runtime=runtime["id"], command=command)
    assert bench.get(service)["environ"]["VIRTUAL_ENV"] == runtime["path"]
    text = bench.machine.log_tail(bench.workspace, "app")[0]
    assert text.splitlines()[:2] == ["42", f"{runtime['path']}/bin/python"]


def test_a_reference_is_the_environments_own(bench, lock):
    runtime = bench.ask("PUT", "/v1/runtimes", {"requirements": lock, "python": PYTHON})[1]
    address = f"/v1/runtimes/{runtime['id']}"
    stranger = bench.client("00000000-0000-0000-0000-000000000001")
    assert stranger("GET", address)[0] == 404
    assert bench.ask("GET", address)[0] == 200
    assert bench.ask("DELETE", address)[0] == 204
    assert bench.ask("GET", address)[0] == 404
    again = bench.ask("PUT", "/v1/runtimes", {"requirements": lock, "python": PYTHON})
    assert (again[0], again[1]["reused"]) == (200, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lock: lock.replace("==1.0", "==9.9"), "could not be installed"),
        (lambda lock: lock[:-5] + "0000\n", "locked"),
        (lambda lock: "slipway-probe==1.0\n", "locked with hashes"),
    ],
)
def test_a_failed_build_says_why_and_leaves_nothing(bench, lock, change, words):
    status, problem = bench.ask("PUT", "/v1/runtimes", {"requirements": change(lock), "python": PYTHON})
    assert (status, problem["code"]) == (422, "machine:runtime-failed"), problem
    assert words in problem["detail"]
    assert problem["log"]
    assert not list(bench.machine.layout.runtimes.glob(".building-*"))


def test_files_are_laid_over_and_are_part_of_the_digest(bench, lock):
    plain = bench.ask("PUT", "/v1/runtimes", {"requirements": lock})[1]
    body = {"requirements": lock, "files": {"slipway_probe.py": "ANSWER = 7\n", "extra/__init__.py": ""}}
    changed = bench.ask("PUT", "/v1/runtimes", body)[1]
    assert changed["id"] != plain["id"]
    installed = [next(Path(each["path"]).glob("lib/*/site-packages/slipway_probe.py")) for each in (plain, changed)]
    assert [path.read_text().splitlines()[0] for path in installed] == ["ANSWER = 42", "ANSWER = 7"]


def test_an_absent_python_is_named(bench, lock):
    status, problem = bench.ask("PUT", "/v1/runtimes", {"requirements": lock, "python": "3.99"})
    assert (status, problem["code"]) == (422, "machine:python-not-found")


def test_only_the_index_settings_reach_the_build(tmp_path):
    environ = {
        "UV_DEFAULT_INDEX": "https://index.example/simple", "PIP_FIND_LINKS": "/wheels", "SSL_CERT_FILE": "/ca.pem",
        "https_proxy": "http://proxy:1", "DATABASE_URL": "postgres://secret", "SLIPWAY_KEYS": "secret",
        "UV_CACHE_DIR": "/elsewhere", "UV_PYTHON": "/other", "HOME": "/home/dana",
    }  # fmt: skip
    seen = Runtimes(Layout(tmp_path), environ=environ)._environment()
    assert "secret" not in str(seen)
    assert seen["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert seen["UV_FIND_LINKS"] == "/wheels"
    assert seen["UV_CACHE_DIR"] == str(tmp_path / "cache" / "uv")
    assert "UV_PYTHON" not in seen


def test_unreferenced_runtimes_can_be_removed(bench, lock):
    runtime = bench.ask("PUT", "/v1/runtimes", {"requirements": lock, "python": PYTHON})[1]
    assert bench.machine.runtimes.unreferenced_remove(keep=0) == []
    bench.ask("DELETE", f"/v1/runtimes/{runtime['id']}")
    assert bench.machine.runtimes.unreferenced_remove(keep=0) == [runtime["id"]]
    assert not os.path.exists(runtime["path"])


def packages_of(runtime):
    return next(Path(runtime["path"]).glob("lib/*/site-packages"))


def bytecode_of(runtime, name):
    return next((packages_of(runtime) / "__pycache__").glob(f"{name}.*.pyc"))


def answer_of(runtime):
    code = "import slipway_probe; print(slipway_probe.ANSWER)"
    command = [f"{runtime['path']}/bin/python", "-B", "-c", code]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_what_another_runtime_has_compiled_is_not_compiled_again(bench, lock):
    first = bench.ask("PUT", "/v1/runtimes", {"requirements": lock})[1]
    more = bench.ask("PUT", "/v1/runtimes", {"requirements": lock, "files": {"more.py": "", "tests/x.py": ""}})[1]
    assert bytecode_of(first, "slipway_probe").samefile(bytecode_of(more, "slipway_probe"))
    assert bytecode_of(more, "more").exists()
    assert not (packages_of(more) / "tests" / "__pycache__").exists()


def test_a_file_that_was_laid_over_has_byte_code_of_its_own(bench, lock):
    plain = bench.ask("PUT", "/v1/runtimes", {"requirements": lock})[1]
    changed = bench.ask("PUT", "/v1/runtimes", {"requirements": lock, "files": {"slipway_probe.py": "ANSWER = 7\n"}})[1]
    assert not bytecode_of(plain, "slipway_probe").samefile(bytecode_of(changed, "slipway_probe"))
    assert (answer_of(plain), answer_of(changed)) == (42, 7)


def test_byte_code_that_does_not_fit_its_file_is_made_anew_and_left_where_it_was(bench, lock):
    plain = bench.ask("PUT", "/v1/runtimes", {"requirements": lock})[1]
    made = bytecode_of(plain, "slipway_probe")
    made.write_bytes(b"not byte code")
    more = bench.ask("PUT", "/v1/runtimes", {"requirements": lock, "files": {"more.py": ""}})[1]
    assert answer_of(more) == 42
    assert made.read_bytes() == b"not byte code"


def test_byte_code_that_a_package_brought_along_is_not_kept(bench, lock, tmp_path):
    """Also where the file has none of ours beside it, which the compiler would leave as it is."""
    forged = f"__pycache__/nothing.{sys.implementation.cache_tag}.pyc"
    evil = lock + wheel_make(tmp_path, "slipway-evil", {forged: b"forged", f"evil/{forged}": b"forged"})
    runtime = bench.ask("PUT", "/v1/runtimes", {"requirements": evil})[1]
    assert [path.name.partition(".")[0] for path in packages_of(runtime).rglob("*.pyc")] == ["slipway_probe"]


def test_byte_code_of_a_runtime_that_kept_what_came_along_is_not_taken(bench, lock):
    """As an older portal built them."""
    older = bench.ask("PUT", "/v1/runtimes", {"requirements": lock})[1]
    record = Path(older["path"]) / "slipway.json"
    kept = {key: value for key, value in json.loads(record.read_text()).items() if key != "compiled"}
    record.write_text(json.dumps(kept))
    newer = bench.ask("PUT", "/v1/runtimes", {"requirements": lock, "files": {"more.py": ""}})[1]
    assert not bytecode_of(newer, "slipway_probe").samefile(bytecode_of(older, "slipway_probe"))
