"""`import slipway` in a notebook: what it says when there is nothing to connect to."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.world import MODULES

PLUGIN = MODULES / "local-notebook" / "runtime" / "plugin"
ROW = {
    "id": "1",
    "name": "crunch",
    "slug": "crunch-abc",
    "kind": "dask",
    "status": "running",
    "status_words": "Running",
    "owner": "dana",
    "page": "http://portal/environments/1/",
    "app_url": "http://crunch-abc.apps.localhost/",
}


@pytest.fixture
def slipway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The notebook's module, fresh, and after it nothing of it is left."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    import slipway

    yield slipway
    for name in [name for name in sys.modules if name == "slipway" or name.startswith("slipway.")]:
        del sys.modules[name]


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Answers with `answers[path]`: a status and a body; `tokens` are what it was shown."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.tokens.append(self.headers["Authorization"])  # type: ignore[attr-defined]
            path = self.path.partition("?")[0].removeprefix("/api/v1/")
            status, body = server.answers.get(path, (404, {"detail": "There is no such thing."}))  # type: ignore[attr-defined]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode() if not isinstance(body, bytes) else body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.tokens = {}, []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("SLIPWAY_URL", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("SLIPWAY_TOKEN", "slw_own")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def lists(portal: Any, *rows: dict[str, Any]) -> None:
    portal.answers["connections/"] = (200, {"results": [{**ROW, **row} for row in rows]})


def refused(slipway: Any, name: str = "crunch") -> str:
    from slipway.connections import connection

    with pytest.raises(slipway.ClusterError) as caught:
        connection("dask", name)
    return str(caught.value)


def test_it_asks_as_its_own_environment_and_through_no_proxy(slipway: Any, portal: Any) -> None:
    lists(portal, {})
    assert [row["name"] for row in slipway.clusters("dask")] == ["crunch"]
    assert portal.tokens == ["Bearer slw_own"]


def test_a_stopped_cluster_is_named_with_its_page(slipway: Any, portal: Any) -> None:
    lists(portal, {"status": "stopped", "status_words": "Stopped, files kept"})
    said = refused(slipway)
    assert "“crunch” is not running (stopped, files kept)" in said
    assert ROW["page"] in said


def test_an_unknown_name_lists_what_there_is(slipway: Any, portal: Any) -> None:
    lists(portal, {}, {"name": "other", "slug": "other-xyz"})
    said = refused(slipway, "nothing")
    assert "no Dask cluster “nothing”" in said
    assert "“crunch”, “other”" in said
    lists(portal)
    assert "Launch one" in refused(slipway)


def test_two_of_one_name_are_told_apart_by_their_addresses(slipway: Any, portal: Any) -> None:
    lists(portal, {}, {"slug": "crunch-xyz", "owner": "mira"})
    said = refused(slipway)
    assert "“crunch-abc” of dana" in said
    assert "“crunch-xyz” of mira" in said


def test_other_versions_are_both_said(slipway: Any) -> None:
    from slipway.connections import versions_agree

    what = {**ROW, "versions": {"python": "3.12.1", "distributed": "2026.8.0", "dask": "2026.8.0"}}
    own = {"python": "3.11.7", "distributed": "2026.7.1", "dask": "2026.8.0"}
    with pytest.raises(slipway.ClusterError) as caught:
        versions_agree(what, own, exactly=("dask", "distributed"))
    assert "python 3.12.1 there, 3.11.7 here; distributed 2026.8.0 there, 2026.7.1 here" in str(caught.value)
    versions_agree({**what, "versions": {"python": "3.11.9"}}, own, exactly=())


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
def test_what_is_not_slipway_is_said_so(slipway: Any, portal: Any, body: bytes) -> None:
    portal.answers["connections/"] = (200, body)
    assert "Slipway" in refused(slipway)


def test_a_refusal_is_told_in_slipways_words(slipway: Any, portal: Any) -> None:
    lists(portal, {})
    portal.answers["environments/1/connection/"] = (409, {"detail": "It runs on another machine."})
    assert refused(slipway) == "It runs on another machine."


def test_without_an_address_the_cure_is_named(slipway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_URL", raising=False)
    assert "upgrade this one on its page" in refused(slipway)


def test_a_missing_package_is_named_before_anything_is_asked(slipway: Any, portal: Any) -> None:
    with pytest.raises(slipway.ClusterError, match="Spark is not installed here"):
        slipway.spark_session("crunch")
    assert portal.tokens == []


def test_importing_it_imports_no_client(tmp_path: Path) -> None:
    code = "import sys, slipway; print([m for m in ('dask', 'distributed', 'pyspark', 'ray') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PLUGIN, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_notebook_and_server_are_locked_to_one_version() -> None:
    locks = ("local-notebook/runtime/requirements.lock", "local-spark-cluster/runtime/spark.lock")
    found = [re.findall(r"^pyspark(?:-client)?==(\S+)", (MODULES / lock).read_text(), re.MULTILINE) for lock in locks]
    assert len(found[0]) == 1
    assert found[0] == found[1]


def test_its_door_is_the_dask_clusters() -> None:
    door = "runtime/plugin/slipway_cluster/door.py"
    assert (MODULES / "local-spark-cluster" / door).read_text() == (MODULES / "local-dask-cluster" / door).read_text()
