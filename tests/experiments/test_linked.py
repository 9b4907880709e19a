"""Links that MLflow's client prints lead to the pages here."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.experiments.views.linked import page_of


@pytest.mark.parametrize(
    ("at", "page"),
    [
        ("/experiments/12/runs/0a1b", "/experiments/runs/0a1b/"),
        ("/experiments/12/runs/0a1b/artifacts/model", "/experiments/runs/0a1b/"),
        ("/experiments/12/runs/0a1b?workspace=vision", "/experiments/runs/0a1b/"),
        ("/experiments/12", "/experiments/12/"),
        ("/experiments/12/models/m-0a1b", "/experiments/12/"),
        ("/models/vision.reader/versions/3", "/models/vision.reader/3/"),
        ("/models/churn%3Areader", "/models/churn:reader/"),
        ("/models", "/models/"),
        ("/models/a%2Fb", "/experiments/"),
        ("/experiments", "/experiments/"),
        ("//evil.example/experiments/12", "/experiments/"),
        ("https://evil.example", "/experiments/"),
        ("", "/experiments/"),
        ("/experiments/<b>/runs/<script>", "/experiments/"),
    ],
)
def test_a_link_leads_to_the_page_here(client: Client, at: str, page: str) -> None:
    assert page_of(at) == page
    answer = client.get(reverse("mlflow-linked"), {"at": at})
    assert (answer.status_code, answer["Location"]) == (302, page)
