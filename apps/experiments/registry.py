"""Where apps above say what came out of a run: model versions, and what is served from them.

They register in `AppConfig.ready()`; the person who asks sees only what they may see.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.accounts.models import User


@dataclass(frozen=True)
class Served:
    """Something that answers with a model version; `status` is a word people read, `tone` its colour."""

    name: str
    url: str
    status: str = ""
    tone: str = "neutral"


@dataclass(frozen=True)
class ModelOfRun:
    """A version of a registered model that came from a run.

    `logged_model_id` is MLflow's "m-…" where the version was made from a logged model, `url` the version's page.
    """

    run_id: str
    name: str
    version: str
    url: str
    logged_model_id: str = ""
    aliases: tuple[str, ...] = ()
    served: tuple[Served, ...] = ()


ModelsCallback = Callable[["User", Sequence[str]], list[ModelOfRun]]

models_callbacks: list[ModelsCallback] = []


def models_of_run(callback: ModelsCallback) -> ModelsCallback:
    """Answers for some run ids which model versions came from them, in a constant number of queries."""
    if callback not in models_callbacks:
        models_callbacks.append(callback)
    return callback


def models_from(user: "User", run_ids: Sequence[str]) -> list[ModelOfRun]:
    return [model for callback in models_callbacks for model in callback(user, run_ids)]
