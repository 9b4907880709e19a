"""Which Python environment a notebook or cluster runs in: what can be chosen, and reading what was."""

import re
from typing import Any

from django.db.models import F, Prefetch, Q, QuerySet

from apps.catalog.interface import ModuleInterface
from apps.environments.exceptions import LaunchInvalid
from apps.runtimes.choosing import is_taken_by, refusal, takes_any
from apps.runtimes.models import RuntimeVersion

# "As the module brings it": its own lock.
MODULES_OWN = ""
OWN_LABEL = "As the module brings it"
_ASKED = re.compile(r"(?P<slug>[a-z0-9][a-z0-9-]{0,59})(@(?P<number>[1-9][0-9]{0,5}))?")
_HEAVY = ("lock", "requirements", "log")


def runtime_choices(interface: ModuleInterface, current: RuntimeVersion | None = None) -> list[tuple[str, str]]:
    """The newest version of each that the module takes, and what an environment has at present; values are "slug@3".

    Empty where there is nothing to choose.
    """
    if not takes_any(interface):
        return []
    has = Q(pk=current.pk) if current else Q(pk=None)
    rows = RuntimeVersion.objects.filter(Q(runtime__latest_version=F("pk"), status="ready") | has)
    rows = rows.select_related("runtime").defer(*_HEAVY).order_by("runtime__title", "runtime__slug", "-number")
    offered = [row for row in rows if (current and row.pk == current.pk) or is_taken_by(interface, row)]
    if interface.runtimes:
        offered.sort(key=lambda row: _place(interface, row))
    return [(MODULES_OWN, OWN_LABEL), *((str(row), label_of(row)) for row in offered)] if offered else []


def runtimes_once(lookup: str) -> "Prefetch[str, QuerySet[RuntimeVersion], str]":
    """The Python environments of a list, without what is long."""
    return Prefetch(lookup, RuntimeVersion.objects.select_related("runtime").defer(*_HEAVY))


def runtime_default(interface: ModuleInterface) -> RuntimeVersion | None:
    """The first that module.yaml names and that is ready; otherwise what the module brings."""
    if not interface.runtimes or not takes_any(interface):
        return None
    rows = RuntimeVersion.objects.choosable().filter(
        runtime__slug__in=interface.runtimes, runtime__latest_version=F("pk")
    )
    offered = [row for row in rows.select_related("runtime") if is_taken_by(interface, row)]
    return min(offered, key=lambda row: _place(interface, row), default=None)


def runtime_read(
    interface: ModuleInterface, asked: str, *, current: RuntimeVersion | None = None
) -> RuntimeVersion | None:
    """The version that "slug" (its newest) or "slug@3" names; None for the module's own.

    Raises `LaunchInvalid` (field runtime). What an environment has already, it may keep whatever became of it.
    """
    asked = asked.strip()
    if asked == MODULES_OWN:
        return None
    if current is not None and asked == str(current) and not refusal(interface, current):
        return current
    match = _ASKED.fullmatch(asked)
    if match is None:
        raise _refused("Name a Python environment, for example python-3-11-scikit-learn or python-3-11-scikit-learn@2.")
    rows = RuntimeVersion.objects.filter(runtime__slug=match["slug"]).select_related("runtime")
    if match["number"]:
        version = rows.filter(number=int(match["number"])).first()
    else:
        version = rows.filter(runtime__latest_version=F("pk")).first()
    if version is None:
        raise _refused(f"There is no Python environment “{asked}” that is ready.")
    if version.status != RuntimeVersion.Status.READY:
        raise _refused(_standing(version))
    if reason := refusal(interface, version):
        raise _refused(reason)
    return version


def runtime_kept(interface: ModuleInterface, current: RuntimeVersion | None) -> RuntimeVersion | None:
    """What goes on in another version of the module; one that knows of no choice brings its own.

    Raises `LaunchInvalid` (field version) where it does not take the present one.
    """
    if current is None or not takes_any(interface):
        return None
    if message := runtime_in_the_way(interface, current):
        raise LaunchInvalid(message, errors={"version": [message]})
    return current


def runtime_in_the_way(interface: ModuleInterface, current: RuntimeVersion | None) -> str:
    """Why an environment that runs in `current` cannot move to that version of its module; empty where it can."""
    if current is None or not takes_any(interface):
        return ""
    reason = refusal(interface, current)
    return f"{reason} Choose another Python environment in the settings first." if reason else ""


def label_of(version: RuntimeVersion) -> str:
    """ "Python 3.11 · scikit-learn, version 2", and whether it is on its way out."""
    gone = " (deprecated)" if version.status == RuntimeVersion.Status.DEPRECATED else ""
    return f"{version.runtime.title}, version {version.number}{gone}"


def _standing(version: RuntimeVersion) -> str:
    if version.status == RuntimeVersion.Status.DEPRECATED:
        newest = version.runtime.latest_version
        instead = f" Choose {newest}." if newest else ""
        return f"{version} is deprecated: {version.reason or 'it is no longer offered'}.{instead}".replace("..", ".")
    if version.status == RuntimeVersion.Status.FAILED:
        return f"{version} could not be made. Choose another one."
    return f"{version} is still being made. Wait until it is ready, or choose another one."


def _place(interface: ModuleInterface, version: RuntimeVersion) -> int:
    slug = version.runtime.slug
    return interface.runtimes.index(slug) if slug in interface.runtimes else len(interface.runtimes)


def _refused(message: str) -> LaunchInvalid:
    return LaunchInvalid(errors={"runtime": [message]})


def runtime_shown(version: RuntimeVersion | None) -> Any:
    """As the API and the audit log name it."""
    return str(version) if version else None
