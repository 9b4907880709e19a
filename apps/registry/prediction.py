"""A form made of a model's signature, and the body for MLflow's `/invocations` made of the form.

A table gets a field for each column, a tensor or anything nested a field of JSON, a model without a signature (or with
very many columns) one field for the whole body.
"""

import json
from typing import Any

from django import forms

from apps.registry.exceptions import PredictionInvalid
from apps.registry.reading import json_shown
from apps.registry.signature import Field, Signature

MOST_COLUMNS = 60
TEXT_LIMIT = 200_000
WHOLE = {"integer": 2**31 - 1, "long": 2**63 - 1}
NUMBERS = ("float", "double")
BODIES = ("dataframe_split", "dataframe_records", "instances", "inputs")


class JsonField(forms.CharField):
    """Any JSON value; the words NaN and Infinity are none."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"rows": 6, "data-code": "1", "spellcheck": "false"}
        super().__init__(max_length=TEXT_LIMIT, widget=forms.Textarea(attrs=attrs), **kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"This is not JSON: {str(error)[:200]}") from None


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON value")


class PredictionForm(forms.Form):
    """`deployment` is the key of where it is sent; fields are numbered, because names of columns can be anything."""

    deployment = forms.ChoiceField(label="Send to", error_messages={"required": "Choose where it is sent."})

    def __init__(
        self,
        *args: Any,
        signature: Signature | None,
        example: Any = None,
        deployments: list[tuple[str, str]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        chosen = self.fields["deployment"]
        assert isinstance(chosen, forms.ChoiceField)
        chosen.choices = deployments
        if len(deployments) == 1:
            chosen.widget = forms.HiddenInput()
            chosen.initial = deployments[0][0]
        self.signature = signature
        self.is_whole = signature is None or not signature.inputs or len(signature.inputs) > MOST_COLUMNS
        self.is_whole = self.is_whole or any(not each.name for each in signature.inputs[1:]) if signature else True
        if self.is_whole:
            shown = json_shown(example) if example is not None else '{"inputs": []}'
            self.fields["body"] = JsonField(label="Body", initial=shown, help_text="As POST /invocations takes it.")
            return
        assert signature is not None
        values = example_values(signature, example)
        for number, field in enumerate(signature.inputs):
            self.fields[f"input-{number}"] = _form_field(field, values.get(field.name))
        for number, field in enumerate(signature.params):
            made = _form_field(field, field.default)
            made.required = False
            self.fields[f"param-{number}"] = made

    def payload(self) -> dict[str, Any]:
        """The body of the request. Raises `PredictionInvalid` for a body that is no object."""
        if self.is_whole:
            return body_check(self.cleaned_data["body"])
        assert self.signature is not None
        inputs = self.signature.inputs
        values = [self.cleaned_data.get(f"input-{number}") for number in range(len(inputs))]
        body = payload_of(inputs, values)
        params = {
            field.name: self.cleaned_data.get(f"param-{number}") for number, field in enumerate(self.signature.params)
        }
        given = {name: value for name, value in params.items() if value not in (None, "")}
        return {**body, "params": given} if given else body


def payload_of(inputs: tuple[Field, ...], values: list[Any]) -> dict[str, Any]:
    """One row of a table, or tensors by name; optional columns that were left empty are left out."""
    if inputs[0].tensor:
        if len(inputs) == 1 and not inputs[0].name:
            return {"inputs": values[0]}
        return {"inputs": {field.name: value for field, value in zip(inputs, values, strict=True)}}
    if len(inputs) == 1 and not inputs[0].name:
        return {"inputs": values[0]}
    given = [
        (field.name, value)
        for field, value in zip(inputs, values, strict=True)
        if field.required or value not in (None, "")
    ]
    return {"dataframe_split": {"columns": [name for name, _ in given], "data": [[value for _, value in given]]}}


def body_check(body: Any) -> dict[str, Any]:
    """A whole body as the API and the form of one field take it. Raises `PredictionInvalid`."""
    if not isinstance(body, dict):
        raise PredictionInvalid(errors={"body": ["Give a JSON object."]})
    if sum(name in body for name in BODIES) != 1:
        raise PredictionInvalid(errors={"body": [f"Give exactly one of {', '.join(BODIES)}."]})
    return body


def example_values(signature: Signature, example: Any) -> dict[str, Any]:
    """Of the input example, its first row by column, or its tensors by name ("" for one without)."""
    if not isinstance(example, dict):
        return {}
    table, tensors = example.get("dataframe_split"), example.get("inputs")
    if isinstance(table, dict):
        columns, rows = table.get("columns"), table.get("data")
        if isinstance(columns, list) and isinstance(rows, list) and rows and isinstance(rows[0], list):
            return {str(name): value for name, value in zip(columns, rows[0], strict=False)}
    if isinstance(tensors, dict) and any(each.name for each in signature.inputs):
        return tensors
    return {"": tensors} if tensors is not None else {}


def _form_field(field: Field, value: Any) -> forms.Field:
    initial: Any
    common: dict[str, Any] = {"label": field.name or "Input", "required": field.required, "help_text": field.shown_type}
    if not field.tensor and field.shape is None:
        if field.type in WHOLE:
            largest = WHOLE[field.type]
            initial = value if isinstance(value, int) else None
            return forms.IntegerField(**common, min_value=-largest - 1, max_value=largest, initial=initial)
        if field.type in NUMBERS:
            initial = value if isinstance(value, int | float) else None
            widget = forms.NumberInput(attrs={"step": "any"})
            return forms.FloatField(**common, widget=widget, initial=initial)
        if field.type == "boolean":
            choices = [("", "Choose"), ("true", "true"), ("false", "false")]
            initial = str(value).lower() if isinstance(value, bool) else ""
            coerce = {"true": True, "false": False}
            return forms.TypedChoiceField(
                **common, choices=choices, coerce=coerce.get, empty_value=None, initial=initial
            )
        if field.type in ("string", "binary", "datetime"):
            hints = {"binary": "binary, as base64", "datetime": "datetime, for example 2026-01-31T12:00:00"}
            common["help_text"] = hints.get(field.type, field.type)
            initial = value if isinstance(value, str) else ""
            return forms.CharField(**common, max_length=20_000, strip=False, initial=initial)
    common["help_text"] = f"{field.shown_type}, as JSON"
    return JsonField(**common, initial=json_shown(value) if value is not None else "")
