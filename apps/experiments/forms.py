"""What people send about lists of runs."""

import re
from typing import Any

from django import forms
from django.http import QueryDict

from apps.experiments.models import ID_LENGTH
from apps.experiments.selectors.columns import column_read
from apps.experiments.selectors.layout import MOST_COLUMNS

MOST_CHOSEN = 200
TAG_NAME = re.compile(r"[\w\-. :/]+")


def surrogates_refuse(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise forms.ValidationError("It holds characters that stand for nothing (lone surrogates).")


class RunsField(forms.Field):
    """Run ids, as many as were sent under one name."""

    widget = forms.MultipleHiddenInput

    def clean(self, value: Any) -> list[str]:
        ids = [str(one) for one in dict.fromkeys(value or [])]
        ids = [one for one in ids if 0 < len(one) <= ID_LENGTH and one.isascii() and one.isalnum()]
        if not ids:
            raise forms.ValidationError("Select runs first.")
        if len(ids) > MOST_CHOSEN:
            raise forms.ValidationError(f"At most {MOST_CHOSEN} runs can be changed at once.")
        return ids


class ChosenForm(forms.Form):
    """Runs that somebody has selected."""

    run = RunsField()


class TagForm(ChosenForm):
    key = forms.CharField(
        max_length=250,
        label="Tag",
        error_messages={
            "required": "Give the tag a name.",
            "max_length": "The name of a tag has at most %(limit_value)s characters; this has %(show_value)s.",
        },
    )
    value = forms.CharField(
        max_length=5000,
        required=False,
        strip=False,
        error_messages={"max_length": "A tag has at most %(limit_value)s characters; this has %(show_value)s."},
    )

    def clean_key(self) -> str:
        key = str(self.cleaned_data["key"])
        surrogates_refuse(key)
        if not TAG_NAME.fullmatch(key):
            raise forms.ValidationError(
                "The name of a tag holds letters, digits, spaces and _ - . : / only. Nothing was tagged."
            )
        return key

    def clean_value(self) -> str:
        surrogates_refuse(self.cleaned_data["value"])
        return str(self.cleaned_data["value"])


class SavedViewForm(forms.Form):
    name = forms.CharField(
        max_length=80,
        error_messages={
            "required": "Give the view a name.",
            "max_length": "The name of a view has at most %(limit_value)s characters; this has %(show_value)s.",
        },
    )
    query = forms.CharField(max_length=4000, required=False)
    experiment = forms.CharField(max_length=ID_LENGTH, required=False)
    shared = forms.BooleanField(required=False)
    team = forms.CharField(max_length=40, required=False)

    def clean_name(self) -> str:
        surrogates_refuse(self.cleaned_data["name"])
        return str(self.cleaned_data["name"])

    def clean_query(self) -> str:
        surrogates_refuse(self.cleaned_data["query"])
        return str(self.cleaned_data["query"])


class LayoutForm(forms.Form):
    """`column` in their order, `pinned` some of them, `width` as "120 metrics.auc"; `up` and `down` move one."""

    experiment = forms.CharField(max_length=ID_LENGTH, required=False)

    def layout(self) -> tuple[list[str], list[str], dict[str, int]]:
        """Columns, pinned ones, widths. What is no column is left out."""
        data = self.data
        assert isinstance(data, QueryDict)
        columns = [key for key in dict.fromkeys(data.getlist("column")) if _is_column(key)][:MOST_COLUMNS]
        for word, step in (("up", -1), ("down", 1)):
            moved = data.get(word, "")
            if moved in columns:
                at = columns.index(moved)
                columns.insert(min(max(at + step, 0), len(columns) - 1), columns.pop(at))
        widths: dict[str, int] = {}
        for item in data.getlist("width")[: MOST_COLUMNS * 2]:
            size, _, key = item.partition(" ")
            if size.isascii() and size.isdigit() and len(size) < 5 and key in columns:
                widths[key] = int(size)
        return columns, [key for key in data.getlist("pinned") if key in columns], widths


def _is_column(key: str) -> bool:
    has_text = "\0" not in key and not any("\ud800" <= character <= "\udfff" for character in key)
    return has_text and key != "name" and column_read(key) is not None


class BaselineForm(forms.Form):
    experiment = forms.CharField(max_length=ID_LENGTH, required=False)
    run = forms.CharField(max_length=ID_LENGTH, required=False)


class MainMetricForm(forms.Form):
    metric = forms.CharField(max_length=250, error_messages={"required": "Name a metric."})
    goal = forms.ChoiceField(choices=[("max", "Highest is best"), ("min", "Lowest is best")])

    def clean_metric(self) -> str:
        surrogates_refuse(self.cleaned_data["metric"])
        return str(self.cleaned_data["metric"])
