"""Tags every MLflow run with where it ran: the environment Slipway built, and the code in the working directory.

MLflow finds the provider by its entry point (`mlflow.run_context_provider`) and asks it whenever the fluent API or
autologging starts a run, or makes a logged model. Two sources, read afresh each time:

* the file named by SLIPWAY_CONTEXT_FILE: team, user, environment, module version, plan hash, runtime digest;
* git: the commit of the working directory, whether anything in it differs from that commit (files git does not know
  count: a run of an uncommitted notebook is not described by the commit), branch, and address without credentials.

A run is never stopped nor noticeably delayed by this: what cannot be found in two seconds is left out.
"""

import os

from mlflow.tracking.context.abstract_context import RunContextProvider

from slipway_run_context.sources import context_tags, git_tags

TAG_LENGTH = 5000


class SlipwayRunContext(RunContextProvider):
    """MLflow calls `in_context`, then `tags`, at each start of a run."""

    def in_context(self) -> bool:
        return True

    def tags(self) -> dict[str, str]:
        try:
            found = {**context_tags(os.environ.get("SLIPWAY_CONTEXT_FILE")), **git_tags(os.getcwd())}
            return {key: value[:TAG_LENGTH] for key, value in found.items() if value}
        except Exception:  # Tags are worth less than the run.
            return {}
