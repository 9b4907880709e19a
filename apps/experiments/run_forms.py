from typing import Any

from django import forms

from apps.catalog.interface.model import Variable
from apps.catalog.launch_fields import InputField, field_for

NOTE_CHARACTERS = 20_000
SECRET_PREFIX = "secret-"  # noqa: S105 - of names of fields


class NoteForm(forms.Form):
    """The note of a run, in Markdown, as MLflow keeps it; `seen` is the mark of the one that the page was made with."""

    note = forms.CharField(
        required=False,
        max_length=NOTE_CHARACTERS,
        label="Note",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "true"}),
        help_text="Markdown: headings, lists, tables, code and links.",
    )
    seen = forms.CharField(max_length=32, required=False, widget=forms.HiddenInput(attrs={"autocomplete": "off"}))

    def clean_note(self) -> str:
        note: str = self.cleaned_data["note"].replace("\r\n", "\n")
        if any(0xD800 <= ord(letter) <= 0xDFFF for letter in note):
            raise forms.ValidationError("It holds characters that stand for nothing (lone surrogates).")
        return note.rstrip()


class RecreateForm(forms.Form):
    """The name of the new environment, and the secrets that nobody can read back."""

    name = forms.CharField(max_length=60, label="Name")
    token = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, secrets: list[Variable], **more: Any) -> None:
        super().__init__(data, **more)
        for variable in secrets:
            field = field_for(variable)
            field.required = False
            field.help_text = f"{field.help_text} Without it the environment starts with none.".strip()
            self.fields[SECRET_PREFIX + variable.name] = field

    def secrets(self) -> dict[str, Any]:
        """What was entered, typed as the module's variables are."""
        given = {
            name.removeprefix(SECRET_PREFIX): value
            for name, value in self.cleaned_data.items()
            if name.startswith(SECRET_PREFIX)
        }
        return {name: value for name, value in given.items() if value is not InputField.ABSENT and value is not None}
