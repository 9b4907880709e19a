"""What apps above accounts add to it: the audit log records what happens to people and teams."""

from typing import Any, Protocol

from apps.accounts.models import User


class Recorder(Protocol):
    """The signature of `apps.audit.services.audit_record`."""

    def __call__(
        self,
        *,
        action: str,
        actor: User | None,
        target: Any,
        team_id: Any = None,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> Any: ...


_recorders: list[Recorder] = []


def register_recorder(recorder: Recorder) -> None:
    if recorder not in _recorders:
        _recorders.append(recorder)


def record(
    *,
    action: str,
    actor: User | None,
    target: Any,
    team_id: Any = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Tell everybody who registered, inside the caller's transaction."""
    for recorder in _recorders:
        recorder(action=action, actor=actor, target=target, team_id=team_id, before=before, after=after)
