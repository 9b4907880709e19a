"""The list of experiments: folders, totals, a line of the main metric, archive."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from django.utils import timezone

from apps.experiments.models import Experiment, TrackerIndex
from apps.experiments.views.sparkline import sparkline
from tests.cast import Cast, browser, cast_make
from tests.experiments.factories import experiment_make, run_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    return cast_make()


@pytest.fixture
def dana(cast: Cast) -> Client:
    for number, name in enumerate(
        ["top", "vision/digits", "vision/deep/a", "vision/deep/er/b", "visionary/c", "/rooted/d", "/e"]
    ):
        experiment_make(cast.vision, name, run_count=number + 1, main_metric="auc", recent_values=[0.1, 0.5, 0.3])
    experiment_make(cast.vision, "vision/gone", archived=True)
    experiment_make(cast.pricing, "vision/theirs", run_count=100)
    return browser(cast.dana)


def listed(client: Client, **query: str) -> tuple[list[str], list[str]]:
    """Names of folders, and of experiments."""
    answer = client.get("/experiments/", query)
    assert answer.status_code == 200
    _, _, body = answer.content.decode().partition("<tbody")
    folders = re.findall(r'<a href="\?[^"]*folder=[^"]*">([^<]+)</a>', body)
    return folders, re.findall(r'title="([^"]+)">[^<]+</a>', body)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """More experiments than fit on a page."""
    monkeypatch.setattr("apps.experiments.views.experiments.PAGE_SIZE", 2)


def grouped(client: Client, **query: str) -> list[tuple[str, list[str]]]:
    """Headings of folders, each with the experiments below it; "" for those of the folder that is shown."""
    page = client.get("/experiments/", query).content.decode()
    found = []
    for body in page.split("<tbody")[1:]:
        heading = re.search(r'scope="rowgroup".*?</th>', body, re.S)
        steps = re.findall(r">([^<]+)</a>", heading[0]) if heading else []
        found.append((" / ".join(steps), re.findall(r'title="([^"]+)">[^<]+</a>', body)))
    return found


def test_what_fits_on_a_page_lies_open_under_its_folders(dana: Client) -> None:
    assert grouped(dana, ordering="name") == [
        ("", ["/e", "top"]),
        ("rooted", ["/rooted/d"]),
        ("vision / deep", ["vision/deep/a"]),
        ("vision / deep / er", ["vision/deep/er/b"]),
        ("vision", ["vision/digits"]),
        ("visionary", ["visionary/c"]),
    ]
    assert grouped(dana, folder="vision", ordering="name") == [
        ("", ["vision/digits"]),
        ("deep", ["vision/deep/a"]),
        ("deep / er", ["vision/deep/er/b"]),
    ]
    assert [folder for folder, _ in grouped(dana, ordering="-runs")][:3] == ["", "rooted", "visionary"]
    page = dana.get("/experiments/").content.decode()
    assert 'href="?folder=vision%2Fdeep"' in page


def test_a_count_is_said_once(dana: Client) -> None:
    TrackerIndex.objects.update_or_create(pk=1, defaults={"imported_at": timezone.now(), "read_at": timezone.now()})
    study = Experiment.objects.get(name="top")
    for number in range(3):
        run_make(study, name=f"run {number}")
    for url, said in (("/experiments/", r"7 experiments"), (f"/experiments/{study.pk}/", r"3 runs")):
        words = " ".join(re.sub(r"<[^>]*>", " ", dana.get(url).content.decode()).split())
        assert len(re.findall(rf"\b{said}\b", words)) == 1


def test_folders_cost_no_more_queries_with_more_in_them(
    cast: Cast, dana: Client, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size, queries in ((50, 8), (2, 9)):
        monkeypatch.setattr("apps.experiments.views.experiments.PAGE_SIZE", size)
        for number in range(4):
            experiment_make(cast.vision, f"more/{size}/{number}")
            dana.get("/experiments/")
            with django_assert_num_queries(queries):
                dana.get("/experiments/")


@pytest.mark.usefixtures("many")
def test_one_folder_is_shown_at_a_time(dana: Client) -> None:
    folders, names = listed(dana, ordering="name")
    assert folders == ["/", "vision", "visionary"]
    assert sorted(names) == ["/e", "top"]
    assert listed(dana, folder="vision", ordering="name") == (["deep"], ["vision/digits"])
    assert listed(dana, folder="/rooted")[1] == ["/rooted/d"]
    assert listed(dana, folder="nowhere") == ([], [])


@pytest.mark.usefixtures("many")
def test_a_folder_says_what_is_below_it(dana: Client) -> None:
    page = dana.get("/experiments/").content.decode()
    row = re.search(r'folder-row">(?:(?!</tr>).)*>vision</a>.*?</tr>', page, re.S)
    assert row is not None
    assert "3 experiments" in row[0]
    assert ">9<span" in row[0]


def test_search_and_flat_go_through_all_folders(dana: Client) -> None:
    assert listed(dana, q="deep", ordering="name") == ([], ["vision/deep/a", "vision/deep/er/b"])
    assert len(listed(dana, flat="1")[1]) == 7
    assert listed(dana, archived="1", flat="1")[1] == ["vision/gone"]


def test_others_experiments_are_not_there(cast: Cast, dana: Client) -> None:
    assert "theirs" not in dana.get("/experiments/", {"flat": "1"}).content.decode()
    assert listed(browser(cast.mallory), flat="1")[1] == ["vision/theirs"]
    assert len(listed(browser(cast.ada), flat="1")[1]) == 8
    assert browser(None).get("/experiments/").status_code == 302
    assert listed(dana, team="pricing", flat="1")[1] == []


@pytest.mark.parametrize("ordering", ["name", "-runs", "active", "-team", "owner", "-best", "nonsense"])
def test_every_order_is_paged(cast: Cast, dana: Client, ordering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.experiments.views.experiments.PAGE_SIZE", 3)
    found, url = [], f"/experiments/?flat=1&ordering={ordering}"
    for _ in range(5):
        page = dana.get(url).content.decode()
        found += re.findall(r'title="([^"]+)">[^<]+</a>', page.split("<tbody>")[1])
        following = re.search(r'href="([^"]+)" rel="next"', page)
        if following is None:
            break
        url = "/experiments/" + following[1].replace("&amp;", "&")
    assert len(found) == len(set(found)) == 7


def test_odd_addresses_are_pages(dana: Client) -> None:
    for query in ("cursor=made-up", "folder=//", "folder=%ED%A0%80", "q=%25", "ordering=--name", "team=nobody"):
        assert dana.get(f"/experiments/?{query}").status_code == 200


def test_a_line_is_drawn_of_any_numbers() -> None:
    for values in ([1.0, 2.0, 1.5], [0.0, 0.0], [-1e308, 1e308], [1e-320, 2e-320], [None, 1.0, float("inf"), 2.0]):
        drawn = ElementTree.fromstring(sparkline(values, 'a"<b>'))
        path = drawn.find("path")
        assert path is not None
        assert "nan" not in path.attrib["d"]
        heights = [float(point.split()[1]) for point in re.findall(r"[\d.]+ [\d.]+", path.attrib["d"])]
        assert all(0 <= height <= 24 for height in heights)
        assert "style" not in drawn.attrib
    assert sparkline([1.0], "auc") == ""
    assert sparkline([], "auc") == ""


def test_totals_of_an_experiment_stand_above_its_runs(cast: Cast, dana: Client) -> None:
    experiment = Experiment.objects.get(name="vision/deep/er/b")
    page = dana.get(f"/experiments/{experiment.pk}/").content.decode()
    assert 'href="/experiments/?folder=vision%2Fdeep%2Fer"' in page
    assert "No runs yet" in page
