"""The Spark module, applied for real: a plain Python client computes there, and nobody does without the token."""

import dataclasses
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from apps.provisioning.machine.processes import descendants
from tests.clusters.conftest import RunModule
from tests.clusters.world import Applied, Running

# Spark and Java are 0.9 GB to install.
pytestmark = [pytest.mark.matrix, pytest.mark.slow, pytest.mark.timeout(600)]

CLIENT = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
from pyspark.sql import SparkSession
what = json.load(sys.stdin)
address = what["address"] + ("/;token=" + what["token"] if what.get("token") else "")
spark = SparkSession.builder.remote(address).getOrCreate()
"""


@pytest.fixture(scope="module")
def spark(apply_module: RunModule) -> Applied:
    applied = apply_module("local-spark-cluster")
    applied.apply(cores=2, memory_gb=2)
    return applied


@pytest.fixture
def server(spark: Applied) -> Running:
    outputs = spark.outputs
    return Running(outputs["address"], outputs["secret"], spark.python())


def client(server: Running, code: str, what: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """From a file: in `python -c` pyspark takes itself for a run of its own doctests, and looks for a whole Spark."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(CLIENT + code)
        script.flush()
        return subprocess.run(
            [str(server.python), script.name],
            input=json.dumps(what),
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "USER": "dana"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


def test_a_client_computes_with_functions_of_its_own(server: Running) -> None:
    done = client(
        server,
        """
from pyspark.sql.functions import udf
@udf("long")
def where(n):
    import os
    return os.getpid()
pids = {row[0] for row in spark.range(100).repartition(2).select(where("id")).collect()}
total = spark.range(1000).selectExpr("sum(id) as s").collect()[0]["s"]
frame = spark.range(3).toPandas()
print("TOLD", json.dumps({"own": os.getpid(), "pids": sorted(pids), "total": total, "rows": len(frame)}))
""",
        server.connection(),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.partition("TOLD ")[2])
    assert told["own"] not in told["pids"]
    assert (told["total"], told["rows"]) == (499500, 3)


def test_the_packages_of_a_notebook_are_enough(apply_module: RunModule, server: Running) -> None:
    """The client of every notebook, without Spark and Java, and of versions that agree."""
    notebook = apply_module("local-dask-cluster")
    notebook.apply(workers_minimum=0, workers_maximum=1, worker_memory_gb=0.5)
    done = client(
        dataclasses.replace(server, python=notebook.python()),
        """
from importlib.metadata import version
import pandas
from pyspark.sql.functions import pandas_udf
@pandas_udf("double")
def half(values: pandas.Series) -> pandas.Series:
    return values / 2
total = spark.range(11).select(half("id").alias("h")).toPandas()["h"].sum()
print("TOLD", json.dumps({"total": total, "pyspark": version("pyspark-client")}))
""",
        server.connection(),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.partition("TOLD ")[2])
    assert told == {"total": 27.5, "pyspark": server.connection()["versions"]["pyspark"]}


@pytest.mark.parametrize("token", ["", "wrong"])
def test_without_its_token_nothing_is_computed(server: Running, token: str) -> None:
    done = client(server, "print('TOLD', spark.range(3).count())", {**server.connection(), "token": token})
    assert done.returncode != 0
    assert "UNAUTHENTICATED" in done.stderr
    assert "TOLD" not in done.stdout


def test_its_pages_answer_behind_the_door_alone(spark: Applied, server: Running) -> None:
    assert server.ask("/jobs/")[0] == 401
    status, page = server.ask("/jobs/", f"token {server.secret}")
    assert status == 200
    assert b"Spark Jobs" in page
    assert server.ask("/static/webui.css", f"token {server.secret}")[0] == 200
    assert server.ask("/slipway/connection", f"token {server.secret}", "POST")[0] == 401
    # Spark's own port lies open on loopback, and lets nobody in without the signature.
    properties = (spark.machine.layout.service(spark.workspace, "spark") / "launch.json").read_text()
    scratch = json.loads(properties)["scratch"]
    lines = dict(line.split("=", 1) for line in Path(scratch, "spark.properties").read_text().splitlines())
    direct = Running(f"127.0.0.1:{lines['spark.ui.port']}", "", server.python)
    assert direct.ask("/jobs/")[0] in (401, 403)
    assert direct.ask("/api/v1/applications")[0] in (401, 403)


def test_a_java_that_is_killed_comes_back(spark: Applied, server: Running) -> None:
    before = server.connection()["token"]
    done = client(server, "print('X')", server.connection())
    assert done.returncode == 0
    state = json.loads((spark.machine.layout.service(spark.workspace, "spark") / "state.json").read_text())
    for stat in descendants(state["main"][0]):
        if os.path.basename(os.readlink(f"/proc/{stat.pid}/exe")) == "java":
            os.kill(stat.pid, 9)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if server.ask("/slipway/health", f"token {server.secret}")[0] == 200 and (
                server.connection()["token"] != before
            ):
                break
        except OSError:
            pass
        time.sleep(0.3)
    try:
        again = client(server, "print(spark.range(3).count())", server.connection())
    except subprocess.TimeoutExpired:
        raise AssertionError(spark.log("spark")[-6000:]) from None
    assert again.stdout.strip() == "3", again.stderr[-2000:]


def test_stopped_at_once_and_started_with_another_token(spark: Applied, server: Running) -> None:
    before, begun = server.connection()["token"], time.monotonic()
    spark.apply(running=False)
    assert time.monotonic() - begun < 20
    spark.apply(running=True)
    outputs = spark.outputs
    assert Running(outputs["address"], outputs["secret"], server.python).connection()["token"] != before
