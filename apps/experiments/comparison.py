"""Two to twenty runs side by side: what differs, what is the same, and which value is best."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.core.templatetags.portal_ui import four_digits
from apps.experiments.gateway.run_detail import SYSTEM_PREFIX, RunDetail
from apps.experiments.lineage import Lineage, Standing
from apps.experiments.models import Experiment

ROWS_MOST = 1000  # of a section; differences come first
# Names whose smaller values are better. Said on the page, so that nobody has to guess.
LOWER = re.compile(
    r"(^|[^a-z])(loss|error|err|rmse|mse|mae|mape|perplexity|ppl|latency|seconds|duration|time|wer|cer|fid|nll|brier)"
    r"([^a-z]|$)",
    re.IGNORECASE,
)
NOTEBOOK_LAUNCHERS = ("ipykernel_launcher.py", "colab_kernel_launcher.py")
PACKAGE = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:(?:==|>=|~=|@)\s*([^\s;\\]+))?")


@dataclass(frozen=True)
class CompareCell:
    """`difference` is against the baseline, in words; `same` whether it equals it."""

    text: str
    value: Any = None
    same: bool = True
    best: bool = False
    difference: str = ""
    note: str = ""


@dataclass(frozen=True)
class CompareRow:
    key: str
    cells: list[CompareCell]
    differs: bool
    better: str = ""  # "lowest" or "highest", where one is marked as best


@dataclass
class Section:
    """`rows` with differences first; `left` how many are not shown."""

    key: str
    title: str
    rows: list[CompareRow] = field(default_factory=list)
    differing: int = 0
    total: int = 0
    left: int = 0


def comparison_of(
    details: Sequence[RunDetail], lineages: Sequence[Lineage], experiments: Mapping[str, Experiment]
) -> list[Section]:
    """Sections in the order of the page; the first run is the baseline."""
    metrics = [{metric.key: metric.value for metric in detail.metrics} for detail in details]
    own = [{key: value for key, value in one.items() if not key.startswith(SYSTEM_PREFIX)} for one in metrics]
    system = [{key: value for key, value in one.items() if key.startswith(SYSTEM_PREFIX)} for one in metrics]
    goals = {one.main_metric: one.main_goal for one in experiments.values() if one.main_metric}
    return [
        _numbers("metrics", "Metrics", own, goals),
        _texts("params", "Parameters", [detail.params for detail in details]),
        _texts("datasets", "Data sets", [_datasets(detail) for detail in details]),
        _texts("code", "Code version", [_code(detail) for detail in details]),
        _infrastructure(lineages),
        _texts("tags", "Tags", [_tags(detail) for detail in details]),
        _numbers("system", "System metrics", system, {}),
    ]


def requirements_section(packages: Sequence[dict[str, str]], *, alike: bool = True) -> Section:
    """`alike`: all were read from the same kind of place. A model names a few packages, an environment all it has:
    between the two only those count that more than one run names."""
    if not alike:
        named = Counter(name for one in packages for name in one)
        packages = [{name: version for name, version in one.items() if named[name] > 1} for one in packages]
    rows = []
    for name in dict.fromkeys(name for one in packages for name in sorted(one)):
        # A run of which no packages are known says nothing of any of them.
        known = [one.get(name) for one in packages if one]
        cells = [
            CompareCell(one.get(name, "not there"), same=one.get(name) == known[0]) if one else CompareCell("–")
            for one in packages
        ]
        rows.append(CompareRow(name, cells, differs=len(set(known)) > 1))
    return _section("requirements", "Requirements", rows)


def packages_of(text: str) -> dict[str, str]:
    """Names and versions of a requirements file or a lock."""
    found = {}
    for line in text.splitlines():
        if line[:1] in ("#", "-", " ", "\t", ""):
            continue
        if match := PACKAGE.match(line):
            found[match[1].lower().replace("_", "-")] = match[2] or "any"
    return found


def lower_is_better(key: str, goals: Mapping[str, str]) -> bool:
    if key in goals:
        return goals[key] == Experiment.Goal.LOWEST
    return bool(LOWER.search(key))


def _section(key: str, title: str, rows: list[CompareRow]) -> Section:
    rows.sort(key=lambda row: not row.differs)
    differing = sum(row.differs for row in rows)
    return Section(key, title, rows[:ROWS_MOST], differing, len(rows), max(0, len(rows) - ROWS_MOST))


def _texts(key: str, title: str, of: Sequence[Mapping[str, str]]) -> Section:
    rows = []
    for name in dict.fromkeys(name for one in of for name in sorted(one)):
        values = [one.get(name) for one in of]
        cells = [CompareCell("–" if value is None else value, same=value == values[0]) for value in values]
        rows.append(CompareRow(name, cells, differs=len(set(values)) > 1))
    return _section(key, title, rows)


def _numbers(key: str, title: str, of: Sequence[Mapping[str, float]], goals: Mapping[str, str]) -> Section:
    rows = []
    for name in sorted({name for one in of for name in one}):
        values = [one.get(name) for one in of]
        lower = lower_is_better(name, goals)
        finite = [value for value in values if value is not None and not math.isnan(value)]
        differs = len({"NaN" if value is not None and math.isnan(value) else value for value in values}) > 1
        marked = differs and len(set(finite)) > 1 and not name.startswith(SYSTEM_PREFIX)
        best = (min(finite) if lower else max(finite)) if marked else None
        cells = [_number(value, values[0], best) for value in values]
        rows.append(CompareRow(name, cells, differs, ("lowest" if lower else "highest") if marked else ""))
    return _section(key, title, rows)


def _number(value: float | None, baseline: float | None, best: float | None) -> CompareCell:
    if value is None:
        return CompareCell("–", same=baseline is None)
    same = value == baseline or (baseline is not None and math.isnan(value) and math.isnan(baseline))
    difference = ""
    if not same and baseline is not None and math.isfinite(value) and math.isfinite(baseline):
        by = value - baseline
        difference = f"{'+' if by > 0 else ''}{four_digits(by)}"
    return CompareCell(four_digits(value), value, same, best is not None and value == best, difference)


def _datasets(detail: RunDetail) -> dict[str, str]:
    """By what they were used for and their name, so that another digest of the same shows as a difference."""
    return {
        f"{dataset.context or 'data'}: {dataset.name}": dataset.digest or "no digest" for dataset in detail.datasets
    }


def _code(detail: RunDetail) -> dict[str, str]:
    tags = detail.tags
    dirty = tags.get("slipway.git.dirty")
    said = {
        "Commit": tags.get("slipway.git.commit") or tags.get("mlflow.source.git.commit", ""),
        "Branch": tags.get("slipway.git.branch") or tags.get("mlflow.source.git.branch", ""),
        "Repository": tags.get("slipway.git.repository") or tags.get("mlflow.source.git.repoURL", ""),
        "Uncommitted changes": {"true": "yes", "false": "no"}.get(dirty or "", ""),
        "Started from": source_said(tags.get("mlflow.source.name", "")),
    }
    return {key: value for key, value in said.items() if value}


def source_said(name: str) -> str:
    """What a run was started from: a file without folders; of a notebook MLflow knows the kernel's launcher only."""
    file = re.split(r"[/\\]", name)[-1] or name
    return "a notebook" if file in NOTEBOOK_LAUNCHERS else file[:200]


def _tags(detail: RunDetail) -> dict[str, str]:
    """People's own; what Slipway and git say has sections of its own."""
    return {key: value for key, value in detail.shown_tags.items() if not key.startswith("slipway.")}


def _infrastructure(lineages: Sequence[Lineage]) -> Section:
    labels = dict.fromkeys(fact.label for lineage in lineages for fact in lineage.facts)
    rows = []
    for label in labels:
        facts = [next((fact for fact in lineage.facts if fact.label == label), None) for lineage in lineages]
        values = [fact.value if fact else "" for fact in facts]
        cells = [
            CompareCell(
                value[:80] or "not known",
                same=value == values[0],
                note="claimed" if fact and fact.standing in (Standing.CLAIMED, Standing.UNKNOWN) and value else "",
            )
            for fact, value in zip(facts, values, strict=True)
        ]
        rows.append(CompareRow(label, cells, differs=len(set(values)) > 1))
    return _section("infrastructure", "Infrastructure", rows)
