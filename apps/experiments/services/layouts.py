"""What a person keeps of the runs table: columns, their order and widths, the baseline."""

from collections.abc import Sequence
from typing import Any

from apps.accounts.models import User
from apps.experiments.models import TablePreference
from apps.experiments.selectors.columns import column_read
from apps.experiments.selectors.layout import MOST_COLUMNS, NARROWEST, WIDEST


def layout_save(
    *, user: User, experiment_id: str, columns: Sequence[str], pinned: Sequence[str], widths: dict[str, int]
) -> TablePreference:
    """Keep these columns in this order; none at all brings the portal's own choice back. Unknown ones are left out."""
    kept: list[dict[str, Any]] = []
    for key in dict.fromkeys(columns):
        if column_read(key) is None:
            continue
        item: dict[str, Any] = {"key": key, "pinned": key in pinned}
        if NARROWEST <= widths.get(key, 0) <= WIDEST:
            item["width"] = widths[key]
        kept.append(item)
    return _write(user, experiment_id, {"columns": kept[:MOST_COLUMNS]})


def baseline_set(*, user: User, experiment_id: str, run_id: str) -> TablePreference:
    """The run that others are compared with; "" for none."""
    return _write(user, experiment_id, {"baseline": run_id})


def _write(user: User, experiment_id: str, values: dict[str, Any]) -> TablePreference:
    row, _ = TablePreference.objects.update_or_create(user=user, experiment_id=experiment_id, defaults=values)
    return row
