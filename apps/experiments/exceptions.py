from typing import Any

from apps.core.exceptions import Conflict, InvalidInput, UserError


class TrackerAway(UserError):
    """MLflow gives no answer; lists go on from the index, and nothing was changed."""

    code = "experiments:tracker-away"
    status = 503
    title = "The MLflow server does not answer just now"
    retry_after = 5

    def __init__(self, *, reason: str = "") -> None:
        super().__init__("The MLflow server does not answer just now. Nothing is lost; try again in a moment.")
        self.reason = reason


class TrackerRefused(UserError):
    """MLflow understood the call and said no: `str()` is its sentence, `absent` whether the thing is not there."""

    code = "experiments:tracker-refused"
    status = 400
    title = "MLflow does not accept this"

    def __init__(self, message: str = "", *, absent: bool = False) -> None:
        super().__init__(message)
        self.absent = absent

    @classmethod
    def by(cls, status: int, data: Any) -> "TrackerRefused":
        said = data if isinstance(data, dict) else {}
        absent = status == 404 or said.get("error_code") == "RESOURCE_DOES_NOT_EXIST"
        return cls(str(said.get("message") or f"It answered {status}.")[:500], absent=absent)


class NoteChanged(Conflict):
    """Somebody wrote another note since the page was made; `now` is theirs."""

    code = "experiments:note-changed"
    title = "Somebody else has changed the note meanwhile"

    def __init__(self, *, now: str) -> None:
        super().__init__("Somebody has changed the note since you read it. Nothing was saved. Look, then decide.")
        self.now = now


class FilterInvalid(InvalidInput):
    """A filter that cannot be read; `position` is the index of the character it fails at."""

    code = "experiments:filter-invalid"
    title = "The filter cannot be read"

    def __init__(self, message: str, *, position: int) -> None:
        super().__init__(message, errors={"filter": [f"{message} (character {position + 1})"]})
        self.position = position
