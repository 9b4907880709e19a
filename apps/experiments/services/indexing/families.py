"""`Run.family`: the topmost ancestor of a nested run, however deep it lies and in whatever order runs are read."""

from collections.abc import Sequence

from django.db.backends.utils import CursorWrapper

from apps.experiments.services.indexing.reading import RunRead

DEEPEST = 50


def families_mend(cursor: CursorWrapper, written: Sequence[RunRead]) -> None:
    """Set the family of the runs that were just written, and of what lies under them.

    A parent that is not in the index yet counts as the topmost; once it comes, this is called for it. Whoever claims
    to be their own ancestor is a family of their own.
    """
    parents = {read.run_id: read.parent_run_id for read in written}
    below = _below(cursor, list(parents))
    parents |= below
    if not any(parents.values()):
        return
    _above(cursor, parents)
    families = {run_id: _topmost(run_id, parents) for run_id in [*(read.run_id for read in written), *below]}
    cursor.execute(
        """
        UPDATE experiments_run AS run SET family = said.family
          FROM unnest(%s::text[], %s::text[]) AS said(run_id, family)
         WHERE run.run_id = said.run_id AND run.family <> said.family
        """,
        [list(families), list(families.values())],
    )


def _below(cursor: CursorWrapper, frontier: list[str]) -> dict[str, str]:
    """Parents by run id of everything that lies under these runs."""
    found: dict[str, str] = {}
    for _ in range(DEEPEST):
        cursor.execute(
            "SELECT run_id, parent_run_id FROM experiments_run WHERE parent_run_id <> '' AND parent_run_id = ANY(%s)",
            [frontier],
        )
        more = {run_id: parent for run_id, parent in cursor.fetchall() if run_id not in found}
        found |= more
        frontier = list(more)
        if not frontier:
            break
    return found


def _above(cursor: CursorWrapper, parents: dict[str, str]) -> None:
    """Add the ancestors of what is in `parents` to it."""
    for _ in range(DEEPEST):
        missing = list({parent for parent in parents.values() if parent and parent not in parents})
        if not missing:
            return
        cursor.execute("SELECT run_id, parent_run_id FROM experiments_run WHERE run_id = ANY(%s)", [missing])
        known = dict(cursor.fetchall())
        parents |= {run_id: known.get(run_id, "") for run_id in missing}


def _topmost(run_id: str, parents: dict[str, str]) -> str:
    seen = [run_id]
    while (parent := parents.get(seen[-1], "")) and len(seen) <= DEEPEST:
        if parent in seen:
            return run_id
        seen.append(parent)
    return seen[-1]
