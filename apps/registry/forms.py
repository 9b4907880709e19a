"""What people fill in for models; the services say what is wrong with it."""

from typing import Any

from django import forms

from apps.registry.cards import SECTION_LIMIT, SECTIONS
from apps.registry.models import ModelCard

LARGEST = 2**31 - 1


class AliasForm(forms.Form):
    """Where an alias goes. `from_version` is where the page showed it; empty: nowhere."""

    alias = forms.CharField(
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
        help_text="For example champion or challenger.",
        error_messages={"required": "Name the alias, for example champion."},
    )
    version = forms.IntegerField(
        min_value=1, max_value=LARGEST, error_messages={"required": "Choose the version that it points at."}
    )
    from_version = forms.IntegerField(
        min_value=1, max_value=LARGEST, required=False, widget=forms.HiddenInput(attrs={"autocomplete": "off"})
    )


class AliasDeleteForm(forms.Form):
    alias = forms.CharField(max_length=255)
    from_version = forms.IntegerField(min_value=1, max_value=LARGEST, required=False)


class CardForm(forms.Form):
    """A field for each section; `from_number` is the version that is being edited."""

    from_number = forms.IntegerField(min_value=0, max_value=LARGEST, widget=forms.HiddenInput)

    def __init__(self, *args: Any, card: ModelCard | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["from_number"].initial = card.number if card else 0
        given = card.sections if card else {}
        for section in SECTIONS:
            widget = forms.TextInput() if section.short else forms.Textarea(attrs={"rows": 5})
            self.fields[section.key] = forms.CharField(
                label=section.title,
                help_text=section.hint if section.short else f"{section.hint} Markdown.",
                required=False,
                max_length=SECTION_LIMIT,
                initial=given.get(section.key, ""),
                widget=widget,
            )

    def sections(self) -> dict[str, str]:
        return {section.key: self.cleaned_data.get(section.key, "") for section in SECTIONS}
