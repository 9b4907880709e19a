from apps.core.exceptions import Conflict, InvalidInput, UserError


class ModuleVersionTaken(Conflict):
    code = "catalog:version-taken"
    title = "This version is already published"


class ArchiveRefused(InvalidInput):
    code = "catalog:archive-refused"
    title = "The archive cannot be taken"

    def __init__(self, message: str) -> None:
        super().__init__(message, errors={"archive": [message]})


class SourceInvalid(InvalidInput):
    code = "catalog:source-invalid"
    title = "The source needs another value"


class VersionState(Conflict):
    """The version is in another state than the action needs."""

    code = "catalog:version-state"
    title = "This version is in another state"


class VersionNotReady(UserError):
    code = "catalog:version-not-ready"
    status = 422
    title = "This version cannot be published yet"


class ChecksRunning(Conflict):
    code = "catalog:checks-running"
    title = "The checks are running already"


class RetrievalActive(Conflict):
    code = "catalog:retrieval-active"
    title = "This source is being retrieved already"


class ModuleArchiveBroken(Exception):
    """A stored version holds something that publishing never puts there."""
