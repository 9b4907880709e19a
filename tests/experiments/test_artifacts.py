"""Files of runs: the tree, every kind of preview, hostile paths and content."""

import base64
import io
import json
from typing import Any

import pytest

from tests.experiments.run_making import Study, browser_of, study_make

pytestmark = [pytest.mark.django_db]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCRIPT = b"<!doctype html><h1>Report</h1><script>document.title='ran'</script>"


@pytest.fixture
def people(db: None) -> Any:
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def study(tracker: Any, people: Any) -> Study:
    return study_make(tracker, people.vision)


def shown(user: Any, run_id: str, path: str = "", **asked: str) -> tuple[int, str]:
    asked = {**({"path": path} if path else {}), **asked}
    answer = browser_of(user).get(f"/experiments/runs/{run_id}/artifacts/", asked)
    return answer.status_code, " ".join(answer.content.decode().split())


def notebook() -> bytes:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "<script>alert(1)</script>"]},
        {
            "cell_type": "code",
            "execution_count": 3,
            "source": "print('<b>hi</b>')",
            "outputs": [
                {"output_type": "stream", "text": ["\x1b[31m<b>hi</b>\x1b[0m\n"]},
                {"output_type": "display_data", "data": {"image/png": base64.b64encode(PNG).decode()}},
                {"output_type": "display_data", "data": {"image/png": "bm90IGEgcGljdHVyZQ=="}},
                {"output_type": "execute_result", "data": {"text/html": ["<table onload=x>"], "text/plain": "df"}},
                {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["ValueError: no"]},
                "nonsense",
            ],
        },
        "nonsense",
    ]
    return json.dumps({"nbformat": 4, "cells": cells}).encode()


def parquet(rows: int = 250) -> bytes:
    import pyarrow as arrow
    from pyarrow import parquet as written

    table = arrow.table({"id": list(range(rows)), "<b>": [f"<i>{n}</i>" for n in range(rows)], "none": [None] * rows})
    file = io.BytesIO()
    written.write_table(table, file, row_group_size=100)
    return file.getvalue()


# (file, its content, what the page says, what it must not say)
KINDS = [
    ("plots/roc.png", PNG, ['<img src="/experiments/runs/', "show=1"], []),
    ("notes.txt", b"<b>plain</b>\n\xc3\xa9", ["&lt;b&gt;plain&lt;/b&gt; é"], ["<b>plain"]),
    ("latin.log", "prix élevé, beaucoup de texte sans autre lettre".encode("latin-1"), ["prix élevé"], []),
    ("data.csv", b"a;b\n1;<i>2</i>\n3;4\n", ["<td>&lt;i&gt;2&lt;/i&gt;</td>", "2 rows"], ["<i>2"]),
    ("wide.tsv", b"a\tb\n1\t2\n", ["<td>2</td>", "1 row"], []),
    ("table.parquet", parquet(), ["&lt;i&gt;7&lt;/i&gt;", "The first 100 of 250 rows", "int64"], ["<i>7"]),
    ("broken.parquet", b"PAR1 not really PAR1", ["No preview", "cannot be read as Parquet"], []),
    ("report.json", b'{"b":1,"a":[1,2]}', ['{ &quot;b&quot;: 1, &quot;a&quot;: ['], []),
    ("deep.json", b"[" * 100_000, ["[[[["], []),
    ("README.md", b"# Hello\n\n<script>x</script> [y](javascript:x)", ["<h3>Hello</h3>"],
     ["<script>x", 'href="javascript']),
    ("nb.ipynb", notebook(),
     ["&lt;b&gt;hi&lt;/b&gt;", "data:image/png;base64,iVBOR", "cell=1&amp;place=3", "[3]", "ValueError"],
     ["<table onload", "<script>alert", "bm90IGEg", "[31m"]),
    ("old.ipynb", b'{"worksheets": []}', ["No preview", "has no cells"], []),
    ("page.html", SCRIPT, ['sandbox="allow-scripts"', "artifacts/frame/"], ["document.title"]),
    ("art.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", ['sandbox="allow-scripts"'],
     ["<svg xmlns"]),
    ("model.bin", b"\x00\x01\x02" * 100, ["No preview", "cannot be shown here"], []),
    ("empty.txt", b"", ["preview-text"], []),
    ("naïve name & more.txt", b"there", ["there", "naïve name &amp; more.txt"], []),
]  # fmt: skip


@pytest.mark.parametrize(("path", "content", "says", "never"), KINDS, ids=[kind[0] for kind in KINDS])
def test_each_kind_of_file_is_shown_as_what_it_is(
    study: Study, people: Any, path: str, content: bytes, says: list[str], never: list[str]
) -> None:
    run_id = study.run()
    study.put(run_id, {path: content})
    status, page = shown(people.dana, run_id, path)
    assert status == 200
    for words in says:
        assert words in page, page[-3000:]
    for words in never:
        assert words not in page
    assert shown(people.mallory, run_id, path)[0] == 404


def test_a_large_text_is_read_as_far_as_a_page_holds_it(study: Study, people: Any) -> None:
    run_id = study.run()
    study.put(run_id, {"big.log": b"line of the log\n" * 200_000, "big.csv": b"a,b\n" + b"12345678,2\n" * 200_000})
    _, page = shown(people.dana, run_id, "big.log")
    assert "The first 256 kB of 3.1 MB" in page
    assert len(page) < 600_000
    assert "The first 100 rows" in shown(people.dana, run_id, "big.csv")[1]


def test_the_tree_opens_folder_by_folder(study: Study, people: Any) -> None:
    run_id = study.run()
    study.put(run_id, {"a/b/c.txt": b"deep", "top.txt": b"top"})
    _, page = shown(people.dana, run_id)
    assert "top.txt" in page
    assert "c.txt" not in page
    assert "artifacts/tree/?path=a" in page
    _, opened = shown(people.dana, run_id, "a/b/c.txt")
    assert "c.txt" in opened
    folder = browser_of(people.dana).get(f"/experiments/runs/{run_id}/artifacts/tree/", {"path": "a"})
    assert "a%2Fb" in folder.content.decode()
    assert shown(people.dana, run_id, "a/nothing.txt")[0] == 404


def test_files_of_a_logged_model_are_the_runs_too(study: Study, people: Any) -> None:
    run_id = study.run()
    model_id = study.model(run_id, {"MLmodel": b"flavors:\n  sklearn: {}\n", "requirements.txt": b"mlflow==3.17.2\n"})
    _, page = shown(people.dana, run_id)
    assert "Model churn" in page
    assert "MLmodel" in page
    assert "mlflow==3.17.2" in shown(people.dana, run_id, "requirements.txt", model=model_id)[1]
    other = study.run()
    assert shown(people.dana, other, "MLmodel", model=model_id)[0] == 404
    answer = browser_of(people.dana).get(
        f"/experiments/runs/{other}/artifacts/file/", {"path": "MLmodel", "model": model_id}
    )
    assert answer.status_code == 404


def test_a_model_of_another_experiment_that_a_run_names_is_not_shown(study: Study, people: Any, tracker: Any) -> None:
    foreign = study_make(tracker, people.pricing)
    model_id = foreign.model(foreign.run(), {"MLmodel": b"secret: 1\n"})
    run_id = study.run()
    tracker.ask("runs/outputs", run_id=run_id, models=[{"model_id": model_id, "step": 0}])
    study.row(run_id)
    assert model_id not in shown(people.dana, run_id)[1]
    for what in ("artifacts/", "artifacts/file/", "artifacts/tree/", "artifacts/frame/"):
        answer = browser_of(people.dana).get(
            f"/experiments/runs/{run_id}/{what}", {"path": "MLmodel", "model": model_id}
        )
        assert answer.status_code == 404, what


HOSTILE = [
    "../../x", "a/../../x", "%2e%2e/%2e%2e/x", "%252e%252e/x", "..%2f..%2fx", "/etc/passwd", "a\\b", "..\\x",
    "%5c..%5cx", "file:///etc/passwd", "c:/x", "a//b", "./x", "a/./b", "x#y", "%2fetc/passwd", "line\nbreak",
    "%00x", "y" * 1001, "%0a",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize("what", ["artifacts/", "artifacts/tree/", "artifacts/file/", "artifacts/frame/"])
def test_paths_that_lead_elsewhere_are_refused_by_name(study_run: tuple[Any, str], what: str, path: str) -> None:
    browser, run_id = study_run
    answer = browser.get(f"/experiments/runs/{run_id}/{what}", {"path": path})
    assert answer.status_code == 400
    assert "is refused" in answer.content.decode()


def test_nul_in_a_path_is_refused(study_run: tuple[Any, str]) -> None:
    browser, run_id = study_run
    assert browser.get(f"/experiments/runs/{run_id}/artifacts/file/?path=a%00b").status_code == 400


@pytest.fixture
def study_run(study: Study, people: Any) -> tuple[Any, str]:
    return browser_of(people.dana), study.run()


def test_pages_and_drawings_live_in_a_box(study: Study, people: Any) -> None:
    run_id = study.run()
    study.put(run_id, {"page.html": SCRIPT, "art.svg": b"<svg/>", "nb.ipynb": notebook(), "notes.txt": b"x"})
    browser = browser_of(people.dana)
    address = f"/experiments/runs/{run_id}/artifacts/frame/"
    for asked in ({"path": "page.html"}, {"path": "art.svg"}, {"path": "nb.ipynb", "cell": "1", "place": "3"}):
        answer = browser.get(address, asked)
        assert answer.status_code == 200
        policy = answer["Content-Security-Policy"]
        assert policy.startswith("sandbox allow-scripts; default-src 'none'")
        assert "allow-same-origin" not in policy
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["X-Frame-Options"] == "SAMEORIGIN"
        # Somebody's page never becomes a page of the portal's host.
        assert browser.get(address, asked, headers={"sec-fetch-dest": "document"}).status_code == 404
    assert browser.get(address, {"path": "notes.txt"}).status_code == 404
    assert browser.get(address, {"path": "nb.ipynb", "cell": "99", "place": "0"}).status_code == 404
    assert browser.get(address, {"path": "nb.ipynb", "cell": "x", "place": "-1"}).status_code == 404
    assert browser_of(people.mallory).get(address, {"path": "page.html"}).status_code == 404


def test_a_download_is_never_shown_by_the_browser(study: Study, people: Any) -> None:
    run_id = study.run()
    study.put(run_id, {"page.html": SCRIPT, "p.png": PNG})
    browser = browser_of(people.dana)
    answer = browser.get(f"/experiments/runs/{run_id}/artifacts/file/", {"path": "page.html", "show": "1"})
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    picture = browser.get(f"/experiments/runs/{run_id}/artifacts/file/", {"path": "p.png", "show": "1"})
    assert (picture["Content-Type"], picture["Content-Disposition"].split(";")[0]) == ("image/png", "inline")


def test_a_folder_of_very_many_files_is_shown_in_parts(study: Study, people: Any) -> None:
    run_id = study.run()
    folder = study.server.folder / "artifacts" / study.experiment.pk / run_id / "artifacts"
    folder.mkdir(parents=True)
    for number in range(620):
        (folder / f"f{number:04}.txt").write_text("x")
    _, page = shown(people.dana, run_id)
    assert "f0499.txt" in page
    assert "f0500.txt" not in page
    assert "Show more of the 120 left" in page
    rest = browser_of(people.dana).get(f"/experiments/runs/{run_id}/artifacts/tree/", {"begin": "500"})
    assert "f0619.txt" in rest.content.decode()
