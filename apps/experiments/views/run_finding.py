"""One run for the person who asks: the index says whether they may see it, MLflow what is in it."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

from django.core.cache import cache
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from apps.accounts.models import User
from apps.core.exceptions import NotAllowed
from apps.core.templatetags.portal_ui import elapsed
from apps.core.templatetags.portal_ui import time as time_tag
from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.experiments.gateway.run_detail import RunDetail, run_read
from apps.experiments.lineage import Lineage, lineage_of
from apps.experiments.models import Experiment, Run
from apps.experiments.selectors.run_index import detail_from_index
from apps.experiments.services.indexing import run_touch

TONES = {
    Run.Status.RUNNING: "busy",
    Run.Status.SCHEDULED: "neutral",
    Run.Status.FINISHED: "good",
    Run.Status.FAILED: "bad",
    Run.Status.KILLED: "warn",
}
TABS = (
    ("run", "Overview"),
    ("run-metrics", "Metrics"),
    ("run-artifacts", "Artifacts"),
    ("run-traces", "Traces"),
    ("run-lineage", "Lineage"),
)
EXPERIMENTS = "/experiments/"
MANY_METRICS = 1000
KEPT_SECONDS, KEPT_RUNNING_SECONDS = 60, 3
AWAY_TITLE = "The MLflow server does not answer just now"
AWAY_TEXT = (
    "This is what the index knew of the run when it was last read. Curves, files and traces come back with the server; "
    "nothing is lost."
)
GONE_TITLE = "MLflow has no such run any more"
GONE_TEXT = "It was removed there for good. This is what the index still knows of it."


@dataclass
class RunPage:
    """`detail` is MLflow's own word, or the index's where `away` or `gone`."""

    user: User
    run: Run
    detail: RunDetail
    away: bool = False
    gone: bool = False
    _lineage: Lineage | None = field(default=None, init=False)

    @property
    def experiment(self) -> Experiment:
        return self.run.experiment

    @property
    def title(self) -> str:
        return self.detail.name or self.run.run_id[:8]

    @property
    def status(self) -> dict[str, str]:
        known = Run.Status(self.detail.status) if self.detail.status in Run.Status.values else None
        return {"label": known.label if known else self.detail.status, "tone": TONES[known] if known else "neutral"}

    @property
    def is_running(self) -> bool:
        return self.detail.status in Run.ACTIVE

    @property
    def lineage(self) -> Lineage:
        if self._lineage is None:
            detail = self.detail
            self._lineage = lineage_of(tags=detail.tags, experiment=self.experiment, started_at=detail.started_at)
        return self._lineage

    @property
    def may_write(self) -> bool:
        return may_write(self.user, self.experiment)

    def url(self, name: str = "run") -> str:
        return reverse(f"experiments:{name}", args=[self.run.run_id])

    def frame(self, current: str) -> dict[str, Any]:
        """What every page of the run shows."""
        notice = None
        if self.away or self.gone:
            title, text = (GONE_TITLE, GONE_TEXT) if self.gone else (AWAY_TITLE, AWAY_TEXT)
            notice = {"tone": "warn", "title": title, "text": text}
        return {
            "page": self,
            "run": self.run,
            "detail": self.detail,
            "head": self._head(),
            "notice": notice,
            "tabs": [{"label": label, "url": self.url(name), "active": name == current} for name, label in TABS],
        }

    def _head(self) -> dict[str, Any]:
        experiment, detail = self.experiment, self.detail
        experiment_url = f"{EXPERIMENTS}{experiment.pk}/"
        meta: list[dict[str, Any]] = []
        if who := self.run.user.display_name if self.run.user else detail.user_name:
            meta.append({"text": who, "icon": "user"})
        if experiment.team:
            meta.append(
                {
                    "text": experiment.team.name,
                    "icon": "users",
                    "url": f"{EXPERIMENTS}?team={experiment.team.slug}",
                }
            )
        meta.append({"text": experiment.name, "icon": "flask", "url": experiment_url})
        if detail.started_at:
            meta.append({"text": time_tag(detail.started_at), "icon": "clock"})
            meta.append(
                {"text": format_html("took {}", elapsed(detail.started_at, detail.ended_at))}
                if detail.ended_at
                else {"text": format_html("for {}", elapsed(detail.started_at))}
            )
        compare = f"{reverse('experiments:compare')}?run={self.run.run_id}"
        # A run from elsewhere has no environment that could be made again; its lineage says so.
        recreate = {"label": "Recreate environment", "url": self.url("run-recreate"), "icon": "refresh"}
        return {
            "heading": self.title,
            "crumbs": [
                {"label": "Experiments", "url": EXPERIMENTS},
                {"label": experiment.name, "url": experiment_url},
            ],
            "state": {**self.status, "reason": "Archived" if detail.archived else ""},
            "meta": meta,
            "primary": recreate if detail.tags.get("slipway.environment_id") else None,
            "actions": [{"label": "Compare", "url": compare, "icon": "git-compare"}],
        }


def run_page(request: HttpRequest, run_id: str) -> RunPage:
    """Raises `Http404` for what is not there or not the person's."""
    return run_page_of(request.user, run_id)  # type: ignore[arg-type]


def run_page_of(user: User, run_id: str) -> RunPage:
    """As `run_page`, for whoever asks by another way."""
    run = _indexed(user, run_id)
    if run is None and Run.objects.filter(run_id=run_id).exists():
        raise Http404
    try:
        detail = _read(run_id, run)
    except TrackerAway:
        if run is None:  # What is hidden and what nobody knows are answered alike.
            raise Http404 from None
        return RunPage(user, run, detail_from_index(run), away=True)
    except TrackerRefused:
        if run is None:
            raise Http404 from None
        return RunPage(user, run, detail_from_index(run), gone=True)
    if run is None or run.experiment_id != detail.experiment_id:
        run = _index_now(user, detail)
    return RunPage(user, run, detail)


def _read(run_id: str, run: Run | None) -> RunDetail:
    """From MLflow; with very many metrics it needs a second for each look, so that such a run is kept for a moment.

    What the index notices of it meanwhile, a note written here among that, ends the moment.
    """
    key = f"run-detail:{run_id}:{run.fingerprint}" if run else ""
    kept: RunDetail | None = cache.get(key) if run and run.metrics.count() > MANY_METRICS else None
    if kept is not None:
        return kept
    detail = run_read(run_id)
    if key and len(detail.metrics) > MANY_METRICS:
        cache.set(key, detail, KEPT_SECONDS if detail.ended_at else KEPT_RUNNING_SECONDS)
    return detail


def run_known(request: HttpRequest, run_id: str) -> Run:
    """The run's row, where MLflow is not asked for its content: for its files and its history."""
    user: User = request.user  # type: ignore[assignment]
    run = _indexed(user, run_id)
    if run is None:
        return run_page(request, run_id).run
    return run


def may_write(user: User, experiment: Experiment) -> bool:
    """Members of the experiment's team; auditors and platform engineers look."""
    return bool(experiment.team_id) and user.memberships.filter(team_id=experiment.team_id).exists()


def writing_require(user: User, experiment: Experiment) -> None:
    if not may_write(user, experiment):
        raise NotAllowed("Only members of the team that the experiment belongs to can change its runs.")


def _indexed(user: User, run_id: str) -> Run | None:
    rows = Run.objects.visible_to(user).select_related("experiment__team", "user")
    return rows.filter(run_id=run_id).first()


def _index_now(user: User, detail: RunDetail) -> Run:
    """A run that began a moment ago is not in the index yet; whose it is, its experiment says."""
    if not Experiment.objects.visible_to(user).filter(pk=detail.experiment_id).exists():
        raise Http404
    with contextlib.suppress(TrackerAway, TrackerRefused):
        run_touch(detail.run_id)
    run = _indexed(user, detail.run_id)
    if run is None:
        raise Http404
    return run
