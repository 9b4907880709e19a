"""Errors of the machine: what a person or a client may be told, each with a stable code and an HTTP status."""

from collections.abc import Sequence


class MachineError(Exception):
    """An expected failure. `detail` says what happened and what to do; `log` holds the last lines of output."""

    status = 500
    code = "machine:failed"
    title = "The machine could not do this"

    def __init__(
        self, detail: str, *, code: str | None = None, status: int | None = None, log: Sequence[str] = ()
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.status = status or self.status
        self.log = list(log)

    def problem(self) -> dict[str, object]:
        """RFC 9457 body of this error."""
        body: dict[str, object] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.log:
            body["log"] = self.log
        return body


class InvalidRequest(MachineError):
    status = 422
    code = "machine:invalid"
    title = "The request is not valid"


class NotFound(MachineError):
    status = 404
    code = "machine:not-found"
    title = "Not found"


class Conflict(MachineError):
    status = 409
    code = "machine:conflict"
    title = "Not possible in the present state"


class Unauthorized(MachineError):
    status = 401
    code = "machine:unauthorized"
    title = "No valid environment token"


class ShuttingDown(MachineError):
    status = 503
    code = "machine:shutting-down"
    title = "The portal is being shut down"
