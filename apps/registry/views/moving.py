"""Aliases on pages: where they are, who moved them when."""

from typing import Any

from django.urls import reverse

from apps.registry.models import AliasMove, RegisteredModel

Via = AliasMove.Via


def alias_rows(model: RegisteredModel, moves: list[AliasMove]) -> list[dict[str, Any]]:
    """Each alias with its newest move; `outside` where nobody knows who made it, `through` where it was not here."""
    newest: dict[str, AliasMove] = {}
    for move in moves:
        newest.setdefault(move.alias, move)
    found = []
    for alias in sorted(model.aliases.all(), key=lambda each: each.alias):
        last = newest.get(alias.alias)
        via = last.via if last else ""
        found.append(
            {"alias": alias, "move": last, "outside": via == Via.ELSEWHERE, "through": _through(last) if last else ""}
        )
    return found


def moves_shown(moves: list[AliasMove]) -> list[dict[str, Any]]:
    """For `components/timeline.html`."""
    return [
        {
            "text": move_sentence(move),
            "detail": _detail(move),
            "at": move.moved_at or move.noticed_at,
            "icon": "alert-triangle" if move.via == Via.ELSEWHERE else "tag",
            "url": reverse("registry:version", args=[move.model_name, move.to_version]) if move.to_version else "",
        }
        for move in moves
    ]


def move_sentence(move: AliasMove) -> str:
    who = _who(move)
    if move.via == Via.FOUND:
        return f"{move.alias} was at version {move.to_version} when Slipway first looked"
    if move.to_version is None:
        return f"{who} took {move.alias} away from version {move.from_version}"
    if move.from_version is None:
        return f"{who} set {move.alias} to version {move.to_version}"
    return f"{who} moved {move.alias} from version {move.from_version} to {move.to_version}"


def _who(move: AliasMove) -> str:
    if move.actor is not None:
        return str(move.actor.display_name)
    return move.actor_name or "Somebody"


def _detail(move: AliasMove) -> str:
    through = _through(move)
    return "Outside Slipway; when it was noticed" if move.via == Via.ELSEWHERE else through[:1].upper() + through[1:]


def _through(move: AliasMove) -> str:
    """ "through MLflow, from nb-churn": by a token, of an environment where it names one."""
    if move.via != Via.MLFLOW:
        return ""
    return "through MLflow" + (f", from {move.environment.name}" if move.environment else "")
