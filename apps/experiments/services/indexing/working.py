"""One turn of the indexer: import while there is something to import, else a round; then what the reconcile has due."""

import logging

from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.experiments.gateway import call
from apps.experiments.services.indexing.hold import Hold, HoldLost, index_held
from apps.experiments.services.indexing.importing import import_go_on
from apps.experiments.services.indexing.rebuilding import away_note
from apps.experiments.services.indexing.reconciling import reconcile_go_on
from apps.experiments.services.indexing.rounds import round_run

log = logging.getLogger(__name__)

IMPORT_SECONDS = 16.0
RECONCILE_SECONDS = 6.0
PROBE_SECONDS = 2.0


def index_turn(*, import_seconds: float = IMPORT_SECONDS, reconcile_seconds: float = RECONCILE_SECONDS) -> bool:
    """Work on the index unless somebody does; True where the import has more to do at once.

    MLflow's silence is written down, never raised: lists go on, and the next turn tries again.
    """
    try:
        with index_held() as hold:
            return hold is not None and _turn(hold, import_seconds, reconcile_seconds)
    except TrackerAway as away:
        log.warning("MLflow does not answer the indexer: %s", away.reason)
        away_note(away.reason)
    except TrackerRefused as refused:
        log.error("MLflow refuses the indexer: %s", refused)
        away_note(f"It refused: {refused}")
    except HoldLost:
        log.info("somebody else works on the index")
    return False


def _turn(hold: Hold, import_seconds: float, reconcile_seconds: float) -> bool:
    row = hold.row
    if row.away_since is not None:
        # A server that hangs would otherwise hold this worker for the whole patience of a search, every time.
        call("POST", "experiments/search", json={"max_results": 1}, seconds=PROBE_SECONDS)
    imported = import_go_on(hold, seconds=import_seconds)
    round_run(hold)
    if imported:
        reconcile_go_on(hold, seconds=reconcile_seconds)
    return not imported
