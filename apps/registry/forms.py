"""What people fill in for models; the services say what is wrong with it."""

from typing import Any

from django import forms

from apps.accounts.models import Team
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


class DescriptionForm(forms.Form):
    """What MLflow keeps of a model in words; `seen` is the mark of what was there when the page was made."""

    description = forms.CharField(
        required=False,
        max_length=5000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "true"}),
        help_text="Markdown: headings, lists, tables, code and links.",
    )
    seen = forms.CharField(max_length=64)


NEW = ":new"  # no model can be called so


class RegisterForm(forms.Form):
    """`request` says which form it was: pressed twice, it registers once."""

    run = forms.CharField(max_length=32, widget=forms.HiddenInput)
    request = forms.CharField(max_length=60, widget=forms.HiddenInput(attrs={"autocomplete": "off"}))
    model = forms.ChoiceField(label="Model", error_messages={"required": "Choose what is registered."})
    name = forms.ChoiceField(label="Register as", initial=NEW)
    new_name = forms.CharField(
        label="Name of the new model",
        max_length=100,
        error_messages={"required": "Give the new model a name, or choose one that is there."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    description = forms.CharField(
        required=False,
        max_length=5000,
        help_text="Of the new model, in a sentence. Markdown.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    use_required_attribute = False  # which name is wanted is chosen in the form itself

    def __init__(
        self, *args: Any, models: list[tuple[str, str]], names: list[str], team: Team | None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.prefix_shown = f"{team.slug}." if team else ""
        self._choices(models, names)
        self.fields["new_name"].required = self["name"].value() == NEW

    def _choices(self, models: list[tuple[str, str]], names: list[str]) -> None:
        model, name = self.fields["model"], self.fields["name"]
        assert isinstance(model, forms.ChoiceField)
        assert isinstance(name, forms.ChoiceField)
        model.choices = models
        name.choices = [(NEW, "A new model"), *((each, each) for each in names)]
        self.fields["new_name"].help_text = f"Only for a new model. “{self.prefix_shown}” is put in front."

    def wanted(self) -> dict[str, Any]:
        """For `version_register`."""
        given = self.cleaned_data
        is_new = given["name"] == NEW
        rest = given["new_name"].strip().removeprefix(self.prefix_shown)
        return {
            "source": given["model"],
            "name": f"{self.prefix_shown}{rest}" if is_new else given["name"],
            "is_new": is_new,
            "request": given["request"],
            "description": given["description"] if is_new else "",
        }
