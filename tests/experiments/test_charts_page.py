"""What the page of charts begins with."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from tests.cast import Cast, browser, cast_make
from tests.experiments.factories import experiment_make, run_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    return cast_make()


def page_of(client: Client, url: str) -> dict[str, Any]:
    found = re.search(r'<script id="charts-page"[^>]*>(.*?)</script>', client.get(url).content.decode(), re.S)
    assert found is not None
    said: dict[str, Any] = json.loads(found[1])
    return said


def test_charts_over_all_runs_begin_with_the_main_metric_of_most(cast: Cast) -> None:
    """Every run has `aaa`, so that by name and by number it would be the first."""
    for name, metric, count in (("vision/a", "auc", 2), ("vision/b", "f1", 1)):
        experiment = experiment_make(cast.vision, name, main_metric=metric)
        for _ in range(count):
            run_make(experiment, metrics={"aaa": 1.0, "auc": 0.5, "f1": 0.4})
    assert page_of(browser(cast.dana), "/experiments/charts/")["metric"] == "metrics.auc"
    assert page_of(browser(cast.dana), f"/experiments/{experiment.pk}/charts/")["metric"] == "metrics.f1"
