"""What can go wrong with an environment by a person's doing; each with a stable code."""

from apps.core.exceptions import Conflict, InvalidInput, UserError


class EnvironmentBusy(Conflict):
    code = "environments:busy"
    title = "Something is going on with this environment; wait for it or cancel it"


class WrongStatus(Conflict):
    code = "environments:wrong-status"
    title = "The environment is not in a state for this"


class DiskShort(Conflict):
    code = "environments:disk-short"
    title = "The machine is nearly out of disk space, so nothing new is launched"


class NameTaken(InvalidInput):
    code = "environments:name-taken"
    title = "You already have an environment of this name"


class LaunchInvalid(InvalidInput):
    code = "environments:invalid"
    title = "Some fields need another value"


class CredentialsMissing(Conflict):
    code = "environments:credentials-missing"
    title = "Nobody has given the team the credentials that this module needs"


class VersionRevoked(Conflict):
    code = "environments:version-revoked"
    title = "Its module version was revoked and is not started any more"


class ConfirmationMissing(InvalidInput):
    code = "environments:confirm-name"
    title = "Type the name of the environment to destroy it and its files"


class StopConfirmationMissing(ConfirmationMissing):
    title = "Type the name of the environment to stop it: its module says what is lost"


class ClusterElsewhere(Conflict):
    code = "environments:cluster-elsewhere"
    title = "The cluster runs on another machine"


class ClusterSilent(UserError):
    code = "environments:cluster-silent"
    status = 503
    title = "The cluster does not answer"


class NotOpenable(UserError):
    code = "environments:not-openable"
    status = 409
    title = "The environment has no application to open"
