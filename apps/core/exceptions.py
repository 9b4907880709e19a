"""Failures that people can do something about, with stable codes; anything else is a bug and is logged as one."""

from typing import ClassVar


class UserError(Exception):
    """Something a person asked for cannot be done; `str()` says why and what to do.

    `code` is stable (`<app>:<reason>`), `status` is the HTTP status, `errors` maps field names to lists of messages.
    """

    code: ClassVar[str] = "core:bad-request"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request cannot be carried out"

    def __init__(self, message: str = "", *, errors: dict[str, list[str]] | None = None) -> None:
        super().__init__(message or self.title)
        self.errors = errors or {}


class InvalidInput(UserError):
    code = "core:invalid"
    status = 400
    title = "Some fields need another value"


class NotAllowed(UserError):
    code = "core:forbidden"
    status = 403
    title = "You may see this, but not change it"


class Conflict(UserError):
    code = "core:conflict"
    status = 409
    title = "Something else changed this first"
