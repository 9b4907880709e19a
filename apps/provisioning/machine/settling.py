"""After a change that was cut off: what runs is what its state knows of."""

import logging
from collections.abc import Mapping

from .services import STOPPED_BY_REQUEST, Services

logger = logging.getLogger(__name__)


def services_settle(services: Services, workspace_id: str, known: Mapping[str, bool]) -> list[str]:
    """Remove services of the environment that the state does not know, stop those it does not say are running.

    `known` maps the names in the state to whether they are to run. Nothing is started, and no volume is touched: what
    a volume holds is a person's, and the next try adopts it. Returns the names of those that were ended.
    """
    ended = []
    for record in services.records(workspace_id):
        if record.name not in known:
            services.delete(workspace_id, record.name)
        elif record.spec.running and not known[record.name]:
            services.stop(workspace_id, record.name, STOPPED_BY_REQUEST)
        else:
            continue
        logger.info("ended %s of %s, which its state does not know to run", record.name, workspace_id)
        ended.append(record.name)
    return ended
