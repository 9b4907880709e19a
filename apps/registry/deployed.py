"""Where model versions are deployed: providers register in `ready()`, and pages ask all of them.

The first provider reads environments of kind endpoint. A deployment is found by what it was asked to serve; whether it
does is its status.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.registry.models import ModelVersion


@dataclass(frozen=True)
class Deployment:
    """`key` is the provider's name and its own id: "environment:<uuid>". `tone`, `label` are its health in a word."""

    key: str
    model: str
    version: int
    title: str
    url: str
    owner: str
    tone: str
    label: str
    reason: str = ""
    serves: bool = False  # answers now
    may_predict: bool = False  # to the person who asked
    why_not: str = ""  # where they may not, or it does not answer
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class Lacking:
    """What the model asks for and the Python it would run in has not; `held` is empty for what is not there at all."""

    name: str
    wanted: str
    held: str = ""

    @property
    def shown(self) -> str:
        """ "xgboost==3.0", "Python 3.12", or the name alone."""
        return f"{self.name}{' ' if self.wanted[:1].isdigit() else ''}{self.wanted}"


@dataclass(frozen=True)
class Answer:
    """What a deployed model said, as JSON, and how long it took (seconds, seen from the portal)."""

    content: Any
    seconds: float
    status: int = 200
    extra: dict[str, Any] = field(default_factory=dict)


class Provider(Protocol):
    name: str

    def find(self, models: Collection[str], user: "User") -> list[Deployment]:
        """Deployments of any version of these models that the person sees, in a constant number of queries."""

    def predict(self, key: str, user: "User", payload: dict[str, Any]) -> Answer:
        """Send a body for /invocations. Raises `NotAllowed`, `NotDeployed`, `PredictionFailed`."""

    def deploy_url(self, version: "ModelVersion", user: "User") -> str:
        """Where the person deploys this version; empty where the provider offers nothing."""

    def lacking(self, version: "ModelVersion") -> list[Lacking]:
        """What would be missing in the Python that a new deployment gets by default."""


providers: list[Provider] = []


def register_provider(provider: Provider) -> None:
    if all(known.name != provider.name for known in providers):
        providers.append(provider)


def deployments_of(models: Collection[str], user: "User") -> list[Deployment]:
    found = [each for provider in providers for each in provider.find(models, user)] if models else []
    return sorted(found, key=lambda each: (-each.version, each.title, each.key))


def provider_of(key: str) -> Provider | None:
    name = key.partition(":")[0]
    return next((provider for provider in providers if provider.name == name), None)


@dataclass(frozen=True)
class Health:
    """Of all deployments of a model in one word."""

    tone: str
    label: str


def health_of(deployments: Collection[Deployment]) -> Health | None:
    """None where nothing is deployed; the worst state is the one that is said."""
    for tone in ("bad", "warn", "busy", "good"):
        same = [each for each in deployments if each.tone == tone]
        if same:
            label = same[0].label if len(same) == 1 else f"{len(same)} × {same[0].label}"
            return Health(tone, label)
    return Health("neutral", "Not running") if deployments else None
