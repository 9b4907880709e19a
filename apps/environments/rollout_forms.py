"""The forms of rollouts: what is rolled out to whom, and the values that are given once for all."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django import forms

from apps.accounts.models import Team
from apps.catalog.interface.model import Variable
from apps.catalog.launch_form import LaunchForm, launch_form_class
from apps.catalog.models import Module, ModuleVersion
from apps.environments.forms import INPUT_PREFIX
from apps.environments.services.rollouts.starting import LARGEST_WAVE, MOST, USUAL_WAVE


class RolloutForm(forms.Form):
    """To which version, whom, and how many at once. `environment` fields name chosen ones."""

    version = forms.ModelChoiceField(
        queryset=ModuleVersion.objects.none(),
        to_field_name="version",
        empty_label=None,
        label="To version",
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose a published version."),
    )
    team = forms.ModelChoiceField(
        queryset=Team.objects.none(),
        to_field_name="slug",
        required=False,
        empty_label="All teams",
        error_messages={"invalid_choice": "Choose one of these teams."},
    )
    wave_size = forms.IntegerField(
        label="At once",
        min_value=1,
        max_value=LARGEST_WAVE,
        initial=USUAL_WAVE,
        help_text="The next ones begin when these are done or skipped. A failure pauses the rollout.",
    )
    environment = forms.TypedMultipleChoiceField(required=False, widget=forms.MultipleHiddenInput)

    def __init__(self, *args: Any, module: Module, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        versions = ModuleVersion.objects.filter(module=module, status=ModuleVersion.Status.PUBLISHED)
        version: Any = self.fields["version"]
        version.queryset = versions.light().order_by("-created_at", "-id")
        version.label_from_instance = lambda row: row.version
        team: Any = self.fields["team"]
        team.queryset = Team.objects.order_by("name")
        # Any of the module's; which they are is the service's affair.
        environment: Any = self.fields["environment"]
        environment.choices = []
        environment.valid_value = lambda value: True

    def clean_environment(self) -> list[UUID]:
        named = self.cleaned_data["environment"]
        if len(named) > MOST:
            raise forms.ValidationError(f"At most {MOST} environments.")
        try:
            return [UUID(value) for value in named]
        except ValueError:
            raise forms.ValidationError("One of them is no environment.") from None


def common_form(
    version: ModuleVersion, asked: Mapping[str, Variable], data: Any = None, initial: Mapping[str, Any] | None = None
) -> LaunchForm:
    """A field for each input that some environment asks for; none has to be filled: owners give what is left out."""
    interface = version.parsed()
    every = frozenset(variable.name for variable in interface.variables)
    form_class = launch_form_class(interface, kept=every)
    fields = {name: field for name, field in form_class.base_fields.items() if name in asked}
    for field in fields.values():
        field.required = False
        # “Stored, leave empty to keep it” is said of an environment's own value.
        field.widget.attrs.pop("placeholder", None)
    form_class.base_fields = fields
    form_class.preset_values = {}
    form = form_class(data, prefix=INPUT_PREFIX)
    # A default is each environment's own affair: only what is typed here is given to all.
    form.initial = dict(initial or {})
    return form
