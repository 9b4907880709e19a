from apps.core.exceptions import Conflict, InvalidInput, UserError


class AliasMoved(Conflict):
    """Somebody moved the alias since the page was made; `now` is the version it is at, None where it is gone."""

    code = "registry:alias-moved"
    title = "Somebody else has moved this alias"

    def __init__(self, message: str, *, now: int | None) -> None:
        super().__init__(message, errors={"from_version": [message]})
        self.now = now


class AliasInvalid(InvalidInput):
    code = "registry:alias-invalid"
    title = "The alias cannot be set like this"


class ModelNameTaken(Conflict):
    code = "registry:name-taken"
    title = "This name belongs to another model"


class RegisterInvalid(InvalidInput):
    code = "registry:register-invalid"
    title = "The model cannot be registered like this"


class ModelGone(Conflict):
    code = "registry:model-gone"
    title = "The model is no longer there"


class CardInvalid(InvalidInput):
    code = "registry:card-invalid"
    title = "The card cannot be saved like this"


class CardChanged(Conflict):
    code = "registry:card-changed"
    title = "Somebody else has changed the card meanwhile"


class DescriptionInvalid(InvalidInput):
    code = "registry:description-invalid"
    title = "The description cannot be saved like this"


class DescriptionChanged(Conflict):
    """Somebody wrote another one since the page was made; `now` is theirs."""

    code = "registry:description-changed"
    title = "Somebody else has changed the description meanwhile"

    def __init__(self, message: str, *, now: str) -> None:
        super().__init__(message)
        self.now = now


class PredictionInvalid(InvalidInput):
    code = "registry:prediction-invalid"
    title = "The values do not fit the model's signature"


class NotDeployed(Conflict):
    code = "registry:not-deployed"
    title = "The version is not deployed there"


class PredictionFailed(UserError):
    """The deployed model gave no prediction; `str()` says why, in its own words where it said any."""

    code = "registry:prediction-failed"
    status = 502
    title = "The model gave no prediction"
