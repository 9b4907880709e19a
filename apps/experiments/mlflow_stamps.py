"""What the portal itself writes into MLflow as things are made: whose they are, by whom and from which environment."""

from dataclasses import replace
from typing import Any

from apps.experiments.mlflow_ownership import DEFAULT_WORKSPACE, tag_of, tags_of
from apps.experiments.mlflow_principal import MlflowPrincipal
from apps.experiments.mlflow_refusals import Refused
from apps.experiments.mlflow_rules import HIDDEN_TRACE_TAGS, STAMPED, TEAM_TAG, Call


def name_allowed(principal: MlflowPrincipal, name: str, *, empty: bool = False) -> str:
    """The team in front of an experiment's name, which has to be one of the caller's."""
    team, slash, rest = name.partition("/")
    if (not name and empty) or (slash and rest.strip() and team in principal.teams):
        return team
    own = " or ".join(f'"{team}/..."' for team in sorted(principal.teams)) or "of a team you belong to"
    raise Refused(403, "PERMISSION_DENIED", f"An experiment's name starts with its team: {own}, not {name!r}.")


def experiment_team(principal: MlflowPrincipal, data: dict[str, Any], workspace: str = "") -> str:
    """Whose a new experiment will be: the workspace's team, elsewhere the one its name begins with."""
    if workspace in ("", DEFAULT_WORKSPACE):
        return name_allowed(principal, str(data.get("name", "")))
    return _team_of_workspace(principal, workspace)


def experiment_to_create(principal: MlflowPrincipal, data: dict[str, Any], workspace: str = "") -> dict[str, Any]:
    team = experiment_team(principal, data, workspace)
    if set(data) - {"name", "tags", "artifact_location"} or data.get("artifact_location"):
        # A location of one's own choice would show another team's files, or the server's, as artifacts.
        raise Refused(400, "INVALID_PARAMETER_VALUE", "Artifacts are kept by the portal: leave artifact_location out.")
    return {"name": data.get("name", ""), "tags": _tags(data, {TEAM_TAG: team})}


def model_team(principal: MlflowPrincipal, data: dict[str, Any], workspace: str = "") -> str:
    """Whose a new registered model will be."""
    if workspace not in ("", DEFAULT_WORKSPACE):
        return _team_of_workspace(principal, workspace)
    prefix = str(data.get("name", "")).partition(".")[0]
    asked = tag_of(data, TEAM_TAG) or (prefix if prefix in principal.teams else "") or principal.home_team
    own = " or ".join(f'"{team}.{data.get("name")}"' for team in sorted(principal.teams))
    if workspace == DEFAULT_WORKSPACE and asked != prefix:
        raise Refused(403, "PERMISSION_DENIED", f"Say whose model this is: call it {own}.")
    if asked not in principal.teams:
        detail = f"Say whose model this is: call it {own}, or give it the tag {TEAM_TAG}."
        raise Refused(403, "PERMISSION_DENIED", detail)
    return asked


def model_to_create(principal: MlflowPrincipal, data: dict[str, Any], workspace: str = "") -> dict[str, Any]:
    team = model_team(principal, data, workspace)
    return {**data, "tags": _tags(data, {TEAM_TAG: team, "slipway.user": principal.username})}


def renamed_check(principal: MlflowPrincipal, call: Call, workspace: str, team: str) -> None:
    """Where the name says whose a thing is, a new one says no other team; `team` is whose it is now."""
    data = call.data or {}
    name = str(data.get("new_name") or data.get("newName") or "")
    if call.is_("/experiments/update") and workspace == "":
        name_allowed(principal, name, empty=True)
    elif call.is_("/experiments/update") and workspace == DEFAULT_WORKSPACE:
        name_allowed(replace(principal, teams=frozenset({team})), name, empty=True)
    elif call.is_("/registered-models/rename") and workspace == DEFAULT_WORKSPACE and not name.startswith(f"{team}."):
        raise Refused(403, "PERMISSION_DENIED", f'A model\'s name starts with its team: "{team}...", not {name!r}.')


def _team_of_workspace(principal: MlflowPrincipal, workspace: str) -> str:
    if workspace not in principal.teams:
        raise Refused(403, "PERMISSION_DENIED", f"You may look at the workspace {workspace!r} but make nothing in it.")
    return workspace


def stamped(principal: MlflowPrincipal, data: dict[str, Any], team: str) -> dict[str, Any]:
    """A new run or logged model with what the portal knows of it, in place of what the client claims."""
    known = {TEAM_TAG: team, "slipway.user": principal.username}
    if principal.environment_id:
        known["slipway.environment_id"] = principal.environment_id
    return {**data, "tags": _tags(data, known, without=STAMPED)}


def trace_without_claims(data: dict[str, Any]) -> dict[str, Any]:
    """A trace as it may be written: without the tags that tell the server where its files are, and without ids of
    assessments, because MLflow would write over whatever assessment has that id already."""
    kept: dict[str, Any] = {}
    for key, value in data.items():
        plain = key.replace("_", "").lower()
        if plain in ("trace", "traceinfo") and isinstance(value, dict):
            kept[key] = trace_without_claims(value)
        elif plain == "tags" and isinstance(value, dict):
            kept[key] = {name: each for name, each in value.items() if name not in HIDDEN_TRACE_TAGS}
        elif plain == "tags":
            kept[key] = [tag for tag in tags_of(data) if tag.get("key") not in HIDDEN_TRACE_TAGS]
        elif plain == "assessment" and isinstance(value, dict):
            kept[key] = _without_id(value)
        elif plain == "assessments" and isinstance(value, list):
            kept[key] = [_without_id(each) if isinstance(each, dict) else each for each in value]
        else:
            kept[key] = value
    return kept


def _without_id(assessment: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in assessment.items() if key.replace("_", "").lower() != "assessmentid"}


def _tags(data: dict[str, Any], known: dict[str, str], *, without: tuple[str, ...] = ()) -> list[dict[str, str]]:
    kept = [tag for tag in tags_of(data) if tag.get("key") not in {*known, *without}]
    return [*kept, *({"key": key, "value": value} for key, value in known.items())]


def stamps_untouched(call: Call) -> None:
    """Refuses changes of the tags by which the portal knows whose a thing is and where it came from."""
    if call.is_read or call.is_("/runs/create") or call.is_("/logged-models"):
        return
    tail = call.path.rpartition("/")[2]
    data = call.data or {}
    if "/traces" in call.path and not call.path.endswith("/tags"):
        return  # a whole trace: what it may not say is left out of it
    named = {str(data.get("key")), tail, *(str(tag.get("key")) for tag in tags_of(data))}
    touched = named & {*STAMPED, *HIDDEN_TRACE_TAGS}
    if touched:
        detail = f"{', '.join(sorted(touched))} is written by the portal and cannot be changed."
        raise Refused(403, "PERMISSION_DENIED", detail)
