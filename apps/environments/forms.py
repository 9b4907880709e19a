"""What the launch and settings pages ask for beside the module's own inputs."""

import uuid
from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import QueryDict

from apps.accounts.models import Team, User
from apps.catalog.interface import ModuleInterface
from apps.catalog.launch_fields import InputField, write_as
from apps.catalog.launch_form import LaunchForm as InputsForm
from apps.catalog.launch_form import launch_form_class
from apps.core.exceptions import UserError
from apps.environments.durations import duration_words
from apps.environments.models import Environment
from apps.environments.selectors import TtlLimits
from apps.policies.offer import Offer
from apps.provisioning.gpus import gpus_counted

INPUT_PREFIX = "input"
USUAL_TTLS = (3600, 2 * 3600, 4 * 3600, 8 * 3600, 12 * 3600, 86_400, 2 * 86_400, 3 * 86_400, 7 * 86_400, 14 * 86_400)


def runtime_field() -> forms.ChoiceField:
    return forms.ChoiceField(
        label="Python environment",
        required=False,
        error_messages={"invalid_choice": "Choose one of these Python environments."},
    )


def runtime_choose(form: forms.Form, choices: Sequence[tuple[str, str]]) -> None:
    """Let the field offer these; where there is nothing to choose it is not asked for."""
    if choices:
        form.fields["runtime"].choices = choices  # type: ignore[attr-defined]
    else:
        del form.fields["runtime"]


class RuntimeForm(forms.Form):
    """The Python environment of an environment that is there."""

    runtime = runtime_field()

    def __init__(self, *args: Any, runtimes: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        runtime_choose(self, runtimes)


class LaunchDetailsForm(forms.Form):
    """Name, team and stop time of a new environment; `token` tells two submits of one form from two launches."""

    name = forms.CharField(
        max_length=60,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Give it a name.", "max_length": "At most 60 characters."},
    )
    team = forms.ModelChoiceField(
        queryset=Team.objects.none(),
        to_field_name="slug",
        empty_label=None,
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose a team you belong to."),
    )
    ttl = forms.TypedChoiceField(
        label="Stops after",
        coerce=int,
        help_text="Files are kept. You can extend it at any time.",
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose one of these times."),
    )
    runtime = runtime_field()
    token = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(
        self, *args: Any, user: User, limits: TtlLimits, runtimes: Sequence[tuple[str, str]] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        runtime_choose(self, runtimes)
        teams = Team.objects.of(user)
        self.fields["team"].queryset = teams  # type: ignore[attr-defined]
        if len(teams) == 1:
            self.fields["team"].widget = forms.HiddenInput()
        lengths = sorted({*(ttl for ttl in USUAL_TTLS if ttl < limits.maximum), limits.default, limits.maximum})
        self.fields["ttl"].choices = [(ttl, duration_words(ttl)) for ttl in lengths]  # type: ignore[attr-defined]
        self.fields["ttl"].initial = limits.default
        self.fields["token"].initial = uuid.uuid4

    def clean_token(self) -> str:
        """Nobody types it: one that is no token counts as none."""
        try:
            return str(uuid.UUID(self.cleaned_data["token"]))
        except ValueError:
            return ""


class ExtendForm(forms.Form):
    seconds = forms.IntegerField(min_value=60, max_value=366 * 86_400)


def preset_follow(data: QueryDict, interface: ModuleInterface) -> QueryDict:
    """Let a newly chosen size fill the fields that the person left as the former size had them.

    Without JavaScript the fields still hold the values of the size that the page was made with; what was typed by hand
    wins over either size.
    """
    shown, chosen = interface.preset(data.get("shown_preset")), interface.preset(data.get("preset"))
    if shown is None or chosen is None or shown.name == chosen.name or not data.get("preset"):
        return data
    followed = data.copy()
    for name, value in chosen.inputs.items():
        variable = interface.variable(name)
        before = shown.inputs.get(name, variable.default if variable else None)
        if data.get(f"{INPUT_PREFIX}-{name}", "").strip() == ("" if before is None else write_as(before)):
            followed[f"{INPUT_PREFIX}-{name}"] = "" if value is None else write_as(value)
    return followed


def inputs_form(
    offer: Offer,
    data: QueryDict | None = None,
    *,
    preset: str | None = None,
    initial: dict[str, Any] | None = None,
    kept: frozenset[str] = frozenset(),
) -> InputsForm:
    """The generated form of what is offered, under a prefix so that no variable can take the place of our fields."""
    form_class = launch_form_class(offer.interface, preset=preset, fixed=offer.fixed, kept=kept | offer.given)
    form = form_class(data, prefix=INPUT_PREFIX, initial=initial)
    for field in form.fields.values():
        if isinstance(field, InputField) and field.variable.presentation.widget == "gpu":
            gpus_offer(field, held=int((initial or {}).get(field.variable.name) or 0))
    return form


def gpus_offer(field: InputField, *, held: int = 0) -> None:
    """As many as are free now, and those that an environment has already; without any the field says why.

    What the module or the machine does not take is refused by them: the count may be another one a moment later.
    """
    machine = gpus_counted()
    field.help_text = f"{field.help_text} {machine.words}".strip()
    choices = [(number, "None" if not number else str(number)) for number in range(machine.most_free + held + 1)]
    field.widget = forms.Select(choices=choices, attrs={"disabled": True} if len(choices) == 1 else {})


def secrets_stored(environment: Environment, interface: ModuleInterface) -> frozenset[str]:
    """Sensitive inputs that have a value already, which an empty field keeps."""
    return frozenset(v.name for v in interface.inputs if v.sensitive and environment.inputs.get(v.name))


def show_errors(error: UserError, details: forms.Form | None, inputs: InputsForm) -> None:
    """Put what a service refused beside the fields it concerns; the rest on top of the form."""
    top = details if details is not None else inputs
    if not error.errors:
        top.add_error(None, str(error))
    for name, messages in error.errors.items():
        plain = name.removeprefix("inputs.")
        if name != plain and plain in inputs.fields:
            inputs.add_error(plain, messages)
        elif details is not None and name in details.fields:
            details.add_error(name, messages)
        else:
            top.add_error(None, messages)
