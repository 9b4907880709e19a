from typing import Any

from django import forms

from apps.accounts.models import Membership, Team, User
from apps.catalog.interface.manifest import TARGETS
from apps.catalog.models import Module
from apps.core.exceptions import UserError
from apps.variable_sets.models import SetVariable, VariableSet

ANY_TARGET = ("", "Any target")


def show_error(form: forms.BaseForm, error: UserError) -> None:
    """Put what a service refused beside the fields it names, the rest on top."""
    shown = False
    for name, texts in error.errors.items():
        for text in texts:
            form.add_error(name if name in form.fields else None, text)
            shown = True
    if not shown:
        form.add_error(None, str(error))


class SecretTextarea(forms.Textarea):
    """Never shows what was typed into it: a value that was refused is typed again, not sent back."""

    def format_value(self, value: Any) -> None:
        return None


class SlugChoice(forms.ModelChoiceField):
    """Rows by their slug, so that an address says which."""

    def __init__(self, **options: Any) -> None:
        super().__init__(to_field_name="slug", **options)


class ScopeForm(forms.Form):
    """Which environments are meant; `user` sees only the teams they belong to."""

    team = SlugChoice(queryset=Team.objects.none(), required=False, empty_label="Everybody")
    target = forms.ChoiceField(choices=[ANY_TARGET, *((name, name) for name in TARGETS)], required=False)
    module = SlugChoice(queryset=Module.objects.none(), required=False, empty_label="Any module")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = Team.objects.visible_to(user)  # type: ignore[attr-defined]
        self.fields["module"].queryset = Module.objects.visible_to(user)  # type: ignore[attr-defined]


class VariableSetForm(ScopeForm):
    name = forms.CharField(max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    description = forms.CharField(max_length=300, required=False)

    field_order = ("name", "description", "team", "target", "module")

    def __init__(self, *args: Any, user: User, existing: VariableSet | None = None, **kwargs: Any) -> None:
        super().__init__(*args, user=user, **kwargs)
        self.fields["target"].help_text = "Where the environments are built. A team's own set names one."
        if existing is not None:
            # It decides who may write the set, so it stays.
            del self.fields["team"]
        elif not user.is_platform_engineer:
            managed = Team.objects.filter(memberships__user=user, memberships__role=Membership.Role.MANAGER)
            team: Any = self.fields["team"]
            team.queryset, team.required, team.empty_label = managed.distinct(), True, None
            self.fields["target"].required = True
            self.fields["target"].choices = [(name, name) for name in TARGETS]  # type: ignore[attr-defined]


class VariableForm(forms.Form):
    """A new variable of a set."""

    kind = forms.ChoiceField(choices=SetVariable.Kind.choices, initial=SetVariable.Kind.ENVIRONMENT)
    name = forms.CharField(
        max_length=100,
        help_text="As Terraform is to find it: AWS_REGION, a file's name, or a variable of the module.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    environment_variable = forms.CharField(
        label="For a file: variable that holds its path",
        max_length=100,
        required=False,
        help_text="For example AWS_SHARED_CREDENTIALS_FILE or GOOGLE_APPLICATION_CREDENTIALS.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    value = forms.CharField(
        strip=False,
        max_length=200_000,
        help_text="A Terraform variable takes a text, or JSON for lists and objects.",
        widget=SecretTextarea(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false", "class": "code"}),
    )
    sensitive = forms.BooleanField(
        required=False, initial=True, label="Secret", help_text="Nobody reads it again, you neither."
    )

    def __init__(self, *args: Any, user: User, existing: SetVariable | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if existing is not None:
            del self.fields["kind"], self.fields["name"]
            if existing.kind != SetVariable.Kind.FILE:
                del self.fields["environment_variable"]
            self.fields["value"].required = False
            self.fields["value"].label = "New value"
            self.fields["value"].help_text = "Leave it empty to keep the value that is set."
        elif not user.is_platform_engineer:
            kinds = [choice for choice in SetVariable.Kind.choices if choice[0] != SetVariable.Kind.FILE]
            self.fields["kind"].choices = kinds  # type: ignore[attr-defined]
            del self.fields["environment_variable"]
