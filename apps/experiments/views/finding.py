"""What a request is about: the person, their experiment, and addresses made from its query."""

from functools import lru_cache
from typing import Any
from urllib.parse import quote

from django.http import Http404, HttpRequest, QueryDict
from django.urls import reverse

from apps.accounts.models import User
from apps.experiments.models import ID_LENGTH, Experiment

# What the table keeps in its address; the rest is not passed on.
KEPT = ("filter", "ordering", "archived", "team", "column", "differs", "flat", "open", "group", "metric")


def person(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]


def experiment_find(request: HttpRequest, experiment_id: str, *related: str) -> Experiment:
    """With its `related` team or owner at hand. Raises `Http404` for what is not there or not the person's to see."""
    if not 0 < len(experiment_id) <= ID_LENGTH or "\0" in experiment_id:
        raise Http404
    rows = Experiment.objects.visible_to(person(request))
    try:
        return (rows.select_related(*related) if related else rows).get(pk=experiment_id)
    except Experiment.DoesNotExist:
        raise Http404 from None


def experiment_asked(request: HttpRequest, given: str) -> Experiment | None:
    """The experiment a form or an address names by its id, None where it names none."""
    return experiment_find(request, given) if given else None


def table_url(experiment: Experiment | None) -> str:
    return reverse("experiments:experiment", args=[experiment.pk]) if experiment else reverse("experiments:runs")


def query_kept(get: QueryDict, *drop: str, **changes: Any) -> str:
    """The table's query with some of it changed; None and "" drop a word, a list sets all its values."""
    query = QueryDict(mutable=True)
    for name in KEPT:
        if name not in drop and get.getlist(name):
            query.setlist(name, get.getlist(name))
    for name, value in changes.items():
        if value in (None, "", []):
            query.pop(name, None)
        else:
            query.setlist(name, value if isinstance(value, list) else [str(value)])
    return query.urlencode()


@lru_cache(maxsize=1)
def _run_url() -> tuple[str, str]:
    """Before and behind the id: reversing an address two hundred times a page shows in its time."""
    before, _, behind = reverse("experiments:run", args=["0" * 32]).partition("0" * 32)
    return before, behind


@lru_cache(maxsize=4096)
def run_url(run_id: str) -> str:
    before, behind = _run_url()
    return f"{before}{quote(run_id)}{behind}"


@lru_cache(maxsize=2048)
def experiment_url(experiment_id: str) -> str:
    return reverse("experiments:experiment", args=[experiment_id])
