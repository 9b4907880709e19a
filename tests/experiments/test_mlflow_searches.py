"""Searches over everybody's things: pages of one's own, and nothing that tells of others'."""

import base64
import json
import secrets

import pytest

pytestmark = [pytest.mark.slow]
FOUND = {
    "experiments/search": "experiments",
    "registered-models/search": "registered_models",
    "model-versions/search": "model_versions",
}


@pytest.fixture(scope="module")
def mixed(mlflow):
    """Nine things of mallory's among twenty-seven of vision's, all made in turn."""
    word = f"shelf{secrets.token_hex(3)}"
    own: dict[str, list[str]] = {path: [] for path in FOUND}
    for number in range(36):
        token, team = ("mallory", "pricing") if number % 4 == 3 else ("dana-notebook", "vision")
        name = f"{team}/{word}-{number:02d}"
        tags = [{"key": "hue", "value": "red" if token == "mallory" else "blue-secret"}]
        made = mlflow.ask(token, "POST", "experiments/create", json={"name": name, "tags": tags})
        experiment_id = made.json()["experiment_id"]
        registered = f"{team}.{word}-{number:02d}"
        mlflow.ask(token, "POST", "registered-models/create", json={"name": registered, "tags": tags})
        logged = mlflow.ask(token, "POST", "logged-models", json={"experiment_id": experiment_id, "name": "m"})
        model_id = logged.json()["model"]["info"]["model_id"]
        version = {"name": registered, "source": f"models:/{model_id}", "model_id": model_id, "tags": tags}
        assert mlflow.ask(token, "POST", "model-versions/create", json=version).status_code == 200
        if token == "mallory":
            own["experiments/search"].append(name)
            own["registered-models/search"].append(registered)
            own["model-versions/search"].append(registered)
    return word, own


def search(mlflow, token, path, method="GET", **wanted):
    options = {"params": wanted} if method == "GET" else {"json": wanted}
    answer = mlflow.ask(token, method, path, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def walk(mlflow, token, path, method="GET", *, size, **wanted):
    """All pages, as MLflow's client reads them."""
    pages, page_token = [], None
    while True:
        more = {"page_token": page_token} if page_token else {}
        answer = search(mlflow, token, path, method, max_results=size, **wanted, **more)
        pages.append([each["name"] for each in answer.get(FOUND[path], [])])
        page_token = answer.get("next_page_token")
        if not page_token:
            return pages


@pytest.mark.parametrize("path", FOUND)
@pytest.mark.parametrize("size", [1, 2, 4, 9, 100])
def test_pages_are_full_and_hold_everything_of_ones_own_once(mlflow, mixed, path, size):
    word, own = mixed
    key = "name" if path != "experiments/search" else "attribute.name"
    pages = walk(mlflow, "mallory", path, size=size, filter=f"{key} LIKE '%{word}%'")
    assert sorted(name for page in pages for name in page) == own[path]
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1), "only the last is not full"
    assert pages[-1], "none is empty"


def test_a_search_by_post_pages_the_same_way(mlflow, mixed):
    word, own = mixed
    wanted = {"filter": f"attribute.name LIKE '%{word}%'", "order_by": ["name ASC"]}
    pages = walk(mlflow, "mallory", "experiments/search", "POST", size=2, **wanted)
    assert [name for page in pages for name in page] == own["experiments/search"], "MLflow's order is kept"
    first = mlflow.ask("mallory", "POST", "experiments/search", json={"maxResults": 2, **wanted}).json()
    token = first["next_page_token"]
    second = mlflow.ask("mallory", "POST", "experiments/search", json={"maxResults": 2, "pageToken": token, **wanted})
    assert [each["name"] for each in second.json()["experiments"]] == own["experiments/search"][2:4]


def test_no_token_tells_whether_something_of_others_matched(mlflow, mixed):
    """Else the tags of others could be read letter by letter."""
    word, _ = mixed
    for hue in ("blue-secret%", "blue-x%"):
        for path, key in (("experiments/search", "attribute.name"), ("registered-models/search", "name")):
            answer = search(
                mlflow, "mallory", path, max_results=1, filter=f"{key} LIKE '%{word}%' AND tags.hue LIKE '{hue}'"
            )
            assert answer == {}
    own = search(mlflow, "mallory", "experiments/search", max_results=9, filter=f"attribute.name LIKE '%{word}%'")
    assert "next_page_token" not in own, "twenty-seven others match as well"


def test_a_token_counts_ones_own_things_only(mlflow, mixed):
    word, _ = mixed
    wanted = {"max_results": 5, "filter": f"attribute.name LIKE '%{word}%'"}
    token = search(mlflow, "mallory", "experiments/search", **wanted)["next_page_token"]
    assert json.loads(base64.b64decode(token)) == {"offset": 5}
    far = base64.b64encode(b'{"offset": 20}').decode()
    assert search(mlflow, "mallory", "experiments/search", **wanted, page_token=far) == {}


@pytest.mark.parametrize("token", ["x", "e30=", base64.b64encode(b'{"offset": -1}').decode(), "bnVsbA=="])
def test_a_token_that_is_none_is_refused(mlflow, mixed, token):
    answer = mlflow.ask("mallory", "GET", "experiments/search", params={"max_results": 1, "page_token": token})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("wanted", [{"max_results": 10**9}, {"max_results": "x"}, {"filter": "nonsense ="}])
def test_what_mlflow_refuses_stays_refused_with_its_own_words(mlflow, mixed, wanted):
    for path in FOUND:
        wanted_here = {"max_results": 10, **wanted}
        ours = mlflow.ask("mallory", "GET", path, params=wanted_here)
        bare = mlflow.direct("GET", f"/api/2.0/mlflow/{path}", params=wanted_here)
        assert (ours.status_code, ours.json()) == (bare.status_code, bare.json())
        assert ours.status_code == 400


def test_who_reads_everything_gets_mlflows_own_answer(mlflow, mixed):
    wanted = {"max_results": 3, "order_by": "name ASC"}
    ours = mlflow.ask("ada", "GET", "experiments/search", params=wanted).json()
    assert ours == mlflow.direct("GET", "/api/2.0/mlflow/experiments/search", params=wanted).json()
