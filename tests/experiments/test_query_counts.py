"""The queries of pages over experiments and runs, pinned: more rows cost no more of them.

A number here is a decision. Raise it only for what the page now says that it did not say before.
"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.experiments.models import Experiment, Run
from tests.cast import Cast, browser, cast_make
from tests.experiments.factories import experiment_make, run_make

pytestmark = pytest.mark.django_db
# Path → queries of dana, pete; behind # the part asked for. {0} is an experiment with families, {1} one without.
PINNED: dict[str, tuple[int, int]] = {
    "/experiments/": (8, 8),
    "/experiments/?flat=1&q=a": (8, 8),
    "/experiments/runs/": (17, 16),
    "/experiments/runs/#runs": (13, 12),
    "/experiments/runs/?ordering=-metrics.auc": (17, 16),
    "/experiments/runs/?ordering=-metrics.auc&filter=metrics.auc+>+0.1+OR+params.lr+<+3": (17, 16),
    "/experiments/{0}/": (16, 16),
    "/experiments/{0}/?open={2}": (18, 18),
    "/experiments/{1}/": (14, 14),
    "/experiments/{1}/?ordering=-metrics.auc": (14, 14),
    "/experiments/{1}/?ordering=-metrics.auc#runs": (10, 10),
    "/experiments/{1}/?differs=1": (14, 14),
    "/experiments/{1}/?group=params.lr&metric=auc": (13, 13),
    "/experiments/columns/?experiment={1}": (12, 11),
    "/experiments/complete/?text=metrics.a": (4, 3),
    "/experiments/runs-new/?experiment={1}&since=1": (5, 5),
    "/api/v1/experiments/": (4, 4),
    "/api/v1/experiments/runs/?ordering=-metrics.auc": (6, 5),
    "/api/v1/experiments/runs/?count=false": (6, 5),
    "/api/v1/experiments/runs/{2}/": (6, 5),
}


@pytest.fixture
def cast() -> Cast:
    return cast_make()


def grow(experiment: Experiment, count: int) -> None:
    for number in range(count):
        run = run_make(experiment, metrics={"auc": number / 10, f"m{number}": 1.0}, params={"lr": str(number)})
        if experiment.has_children:
            run_make(experiment, metrics={"auc": number / 20}, params={"lr": "x"}, parent_run_id=run.run_id)


@pytest.mark.parametrize("path", PINNED)
def test_queries_are_as_many_as_pinned(cast: Cast, path: str) -> None:
    tree = experiment_make(cast.vision, "a/tree", has_children=True, main_metric="auc")
    flat = experiment_make(cast.churn, "a/flat", main_metric="auc")
    counts = []
    for _ in range(2):
        for experiment in (tree, flat):
            grow(experiment, 4)
        first = Run.objects.filter(experiment=tree, parent_run_id="").order_by("pk")[0]
        url, _, part = path.format(tree.pk, flat.pk, first.run_id).partition("#")
        headers = {"HX-Request": "true", "HX-Target": part} if part else {}
        found = []
        for user in (cast.dana, cast.pete):
            client = browser(user)
            client.get(url, headers=headers)
            with CaptureQueriesContext(connection) as queries:
                assert client.get(url, headers=headers).status_code == 200
            found.append(len(queries))
        counts.append(tuple(found))
    assert counts == [PINNED[path]] * 2
