"""The parts of a run's page, each as one of the components takes it."""

import contextlib
import json
from typing import Any

from django.utils.html import format_html

from apps.core.templatetags.portal_ui import duration, elapsed, four_digits
from apps.core.templatetags.portal_ui import time as time_tag
from apps.experiments.comparison import source_said
from apps.experiments.gateway.run_detail import DatasetUsed, moment
from apps.experiments.lineage import Standing
from apps.experiments.markdown import link_is_safe
from apps.experiments.models import Run
from apps.experiments.usage import use_of_run
from apps.experiments.views.run_finding import RunPage

TRACE_STATES = {"OK": ("Done", "good"), "ERROR": ("Failed", "bad"), "IN_PROGRESS": ("Running", "busy")}


def facts_of(page: RunPage) -> list[dict[str, Any]]:
    """Who, when, how long, with what code."""
    detail, tags = page.detail, page.detail.tags
    if detail.ended_at:
        took: Any = elapsed(detail.started_at, detail.ended_at)
    else:
        took = elapsed(detail.started_at) if page.is_running else None
    facts: list[dict[str, Any]] = [
        {"label": "Started", "value": time_tag(detail.started_at, "clock")},
        {"label": "Took" if detail.ended_at else "Runs for", "value": took},
    ]
    commit = tags.get("slipway.git.commit") or tags.get("mlflow.source.git.commit", "")
    if commit:
        dirty = tags.get("slipway.git.dirty") == "true"
        facts.append(
            {
                "label": "Git commit",
                "value": format_html('<code title="{}">{}</code>', commit, commit[:12]),
                "note": _code_note(tags, dirty=dirty),
            }
        )
    if source := tags.get("mlflow.source.name"):
        facts.append({"label": "Started from", "value": source_said(source), "title": source[:1000]})
    facts.append({"label": "Run id", "value": format_html("<code>{}</code>", page.run.run_id)})
    return facts


def dataset_from(dataset: DatasetUsed) -> str:
    """Where a data set was read, out of MLflow's JSON of it: its address where it has one, else all of that."""
    if dataset.source_type == "code":
        return "made in the code"
    with contextlib.suppress(ValueError, RecursionError):
        said = json.loads(dataset.source)
        for name in ("uri", "url", "path", "table_name", "delta_table_name"):
            if isinstance(said, dict) and isinstance(said.get(name), str):
                return str(said[name])
    return dataset.source or dataset.source_type


def _code_note(tags: dict[str, str], *, dirty: bool) -> Any:
    repository = tags.get("slipway.git.repository") or tags.get("mlflow.source.git.repoURL", "")
    branch = tags.get("slipway.git.branch") or tags.get("mlflow.source.git.branch", "")
    where: Any = repository
    if repository.startswith(("https://", "http://")) and link_is_safe(repository):
        where = format_html('<a href="{}" rel="noopener noreferrer nofollow">{}</a>', repository, repository)
    words = format_html("{}{}", where, f", branch {branch}" if branch else "")
    return format_html("{}{}", words, ". With changes that were not committed." if dirty else "")


def use_facts(run: Run) -> list[dict[str, Any]]:
    """What the run used of its environment, shared with runs that overlapped; empty where that is not known."""
    use = use_of_run(run)
    if use is None:
        return []
    if not use.core_seconds and not use.memory_byte_seconds:
        return [{"label": "Processor", "value": "not metered yet"}]
    facts = [
        {"label": "Processor", "value": f"{duration(use.core_seconds)} of a core"},
        {"label": "Memory", "value": f"{four_digits(use.memory_gib_hours)} GB hours"},
    ]
    if use.gpu_seconds:
        facts.append({"label": "GPU", "value": f"{duration(use.gpu_seconds)} of a GPU"})
    return facts


def ran_on_facts(page: RunPage) -> list[dict[str, Any]]:
    """Environment, module and Python packages in short; the lineage tab has all of it, with why it stands so."""
    words = {Standing.CLAIMED: "claimed", Standing.DISAGREES: "the run claims another", Standing.VERIFIED: "verified"}
    shown = [fact for fact in page.lineage.facts if fact.key in ("environment", "module", "python")]
    return [
        {"label": fact.label, "value": fact.value or "not known", "note": words.get(fact.standing, "")}
        for fact in shown
    ]


def trace_row(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace as MLflow 3 says it, as far as it says anything."""
    info = trace.get("trace_info") if isinstance(trace.get("trace_info"), dict) else trace
    assert isinstance(info, dict)
    seconds = None
    with contextlib.suppress(TypeError, ValueError):
        took = info.get("execution_duration")
        seconds = float(str(took).rstrip("s")) if took else float(info.get("execution_time_ms") or 0) / 1000
    tags = info.get("tags") if isinstance(info.get("tags"), dict) else {}
    state = str(info.get("state") or info.get("status") or "")
    return {
        "id": str(info.get("trace_id") or info.get("request_id") or ""),
        "name": str((tags or {}).get("mlflow.traceName", "")),
        "state": TRACE_STATES.get(state, (state.capitalize() or "Unknown", ""))[0],
        "tone": TRACE_STATES.get(state, ("", "neutral"))[1],
        "asked": str(info.get("request_preview") or "")[:300],
        "answered": str(info.get("response_preview") or "")[:300],
        "at": moment(info.get("timestamp_ms")) or _iso(info.get("request_time")),
        "took": duration(seconds) if seconds else "–",
    }


def _iso(text: Any) -> Any:
    from django.utils.dateparse import parse_datetime

    with contextlib.suppress(TypeError, ValueError):
        return parse_datetime(str(text)) if text else None
    return None
