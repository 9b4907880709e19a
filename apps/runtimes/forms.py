"""What platform engineers fill in for a Python environment; the services say what is wrong with it."""

from typing import Any

from django import forms

from apps.core.exceptions import UserError
from apps.runtimes.requirements import MAX_TEXT
from apps.runtimes.services.editing import PYTHONS

HELP = "One requirement a line, for example pandas==2.3.*. Comments begin with #."


def requirements_field() -> forms.CharField:
    return forms.CharField(
        max_length=MAX_TEXT * 2,
        strip=False,
        help_text=HELP,
        widget=forms.Textarea(attrs={"rows": 16, "spellcheck": "false", "autocapitalize": "none", "data-code": "1"}),
        error_messages={"required": "Name at least one package, for example scikit-learn==1.8.*"},
    )


class RuntimeForm(forms.Form):
    title = forms.CharField(
        max_length=80,
        help_text="As people choose it, for example Python 3.11 · forecasting.",
        error_messages={"required": "Give it a title."},
    )
    slug = forms.CharField(
        label="Name",
        max_length=60,
        help_text="In links and requests: lower-case letters, digits and hyphens. It stays.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
        error_messages={"required": "Give it a name, for example python-3-11-forecasting."},
    )
    summary = forms.CharField(max_length=300, required=False, help_text="What it is for.")
    python = forms.ChoiceField(label="Python", choices=[(version, version) for version in sorted(PYTHONS, key=len)])
    requirements = requirements_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["python"].initial = PYTHONS[0]


class RequirementsForm(forms.Form):
    requirements = requirements_field()


class DescriptionForm(forms.Form):
    title = forms.CharField(max_length=80, error_messages={"required": "Give it a title."})
    summary = forms.CharField(max_length=300, required=False, help_text="What it is for.")


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=300,
        required=False,
        help_text="Owners of what runs in it read this, for example: holds an old pandas, use version 4.",
    )


def show_error(error: UserError, form: forms.Form) -> None:
    """Put what a service refused beside the fields it concerns."""
    if not error.errors:
        form.add_error(None, str(error))
    for name, messages in error.errors.items():
        form.add_error(name if name in form.fields else None, messages)
