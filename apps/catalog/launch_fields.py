"""Form fields for Terraform's types: text from a browser into JSON values, and values into text, without loss."""

import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from apps.catalog.interface.hints import Hints, hints_of
from apps.catalog.interface.model import Variable
from apps.catalog.interface.type_constraints import MAX_STRING, TerraformType
from apps.catalog.structured_text import is_plain_text, read_structured, type_shape

# Text of a whole field: a list of a thousand names is long, a megabyte is a mistake.
MAX_TEXT = 100_000

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class InputField(forms.Field):
    """A field of one variable. Says only what it cannot read; the rules are the module's and are checked together."""

    # "Nothing entered, so the module's default counts": another thing than null.
    ABSENT: ClassVar[Any] = type("Absent", (), {"__repr__": lambda self: "ABSENT", "__bool__": lambda self: False})()

    def __init__(self, variable: Variable, hints: Hints, *, stored: bool = False) -> None:
        self.variable = variable
        self.hints = hints
        self.stored = stored
        super().__init__(
            label=variable.label,
            help_text=variable.description,
            required=variable.required and not stored,
            widget=self.make_widget(),
        )

    @property
    def terraform_type(self) -> str:
        return str(self.variable.type)

    def make_widget(self) -> forms.Widget:
        if self.variable.sensitive:
            return forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=False)
        return forms.TextInput()

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {"placeholder": "Stored, leave empty to keep it"} if self.stored else {}

    def validate(self, value: Any) -> None:
        """Nothing here: the shared check says "required" as well."""

    def to_python(self, value: Any) -> Any:
        text = self.normal_text(value)
        if not text.strip():
            return self.empty()
        return self.read(text)

    def normal_text(self, value: Any) -> str:
        text = "" if value is None else str(value)
        if len(text) > MAX_TEXT:
            raise ValidationError(f"Use at most {MAX_TEXT:,} characters.")
        if "\x00" in text:
            raise ValidationError("The text contains a null character, which cannot be stored.")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def empty(self) -> Any:
        """What an empty field means: null where that is the default, else the default, else "required"."""
        if self.variable.has_default and self.variable.default is None and not self.stored:
            return None
        return self.ABSENT

    def read(self, text: str) -> Any:
        """A value from text that is not empty. Raises `ValidationError`."""
        return read_as(self.variable.type, text)

    def prepare_value(self, value: Any) -> Any:
        """A value (or the text someone just typed) as text for the widget."""
        if value is None or value is self.ABSENT:
            return ""
        return value if isinstance(value, str) else self.write(value)

    def write(self, value: Any) -> str:
        return write_as(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


class TextField(InputField):
    """string"""

    def make_widget(self) -> forms.Widget:
        default = self.variable.default if isinstance(self.variable.default, str) else ""
        if not self.variable.sensitive and (self.variable.presentation.widget == "textarea" or "\n" in default):
            return forms.Textarea(attrs={"rows": 4})
        return super().make_widget()

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        attrs = {**super().widget_attrs(widget), "maxlength": self.hints.max_length or MAX_STRING}
        if self.variable.presentation.widget == "repository":
            attrs |= {"placeholder": "https://", "inputmode": "url", "spellcheck": "false", "autocapitalize": "none"}
        return attrs

    def read(self, text: str) -> Any:
        # A password may end with a space and a script with a line end; a line of text is trimmed as in any form.
        kept = self.variable.sensitive or isinstance(self.widget, forms.Textarea) or "\n" in text.strip()
        return text if kept else text.strip()

    def show_lines(self) -> None:
        """For a value of several lines, which a control of one line would lose."""
        if not self.variable.sensitive and not isinstance(self.widget, forms.Textarea):
            attrs = {**self.widget.attrs, "rows": 4}
            self.widget = forms.Textarea(attrs=attrs)


class NumberField(InputField):
    """number"""

    def make_widget(self) -> forms.Widget:
        return super().make_widget() if self.variable.sensitive else forms.NumberInput()

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        attrs = super().widget_attrs(widget)
        if isinstance(widget, forms.NumberInput):
            attrs |= {
                "step": "1" if self.hints.whole else "any",
                "inputmode": "numeric" if self.hints.whole else "decimal",
            }
            bounds = {"min": self.hints.minimum, "max": self.hints.maximum}
            attrs |= {name: write_as(bound) for name, bound in bounds.items() if bound is not None}
        return attrs


class SwitchField(InputField):
    """bool: a checkbox, or three choices where null means something else than no."""

    def make_widget(self) -> forms.Widget:
        if self.variable.sensitive:
            return super().make_widget()
        if self.variable.has_default and self.variable.default is not None:
            return forms.CheckboxInput()
        return forms.Select(choices=[("", "Not set"), ("true", "Yes"), ("false", "No")])

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, bool) else super().to_python(value)

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(self.widget, forms.CheckboxInput) else super().prepare_value(value)


class ChoiceField(InputField):
    """A string or number with a fixed set of values."""

    def make_widget(self) -> forms.Widget:
        choices = [(write_as(option.value), option.label) for option in self.hints.options]
        if not self.variable.has_default or self.variable.default is None:
            choices.insert(0, ("", "Choose" if self.variable.required else "Not set"))
        radio = self.variable.presentation.widget == "radio"
        return forms.RadioSelect(choices=choices) if radio else forms.Select(choices=choices)

    def read(self, text: str) -> Any:
        for option in self.hints.options:
            if write_as(option.value) == text:
                return option.value
        # The module's own rule has the words for a value that is none of the choices.
        return read_as(self.variable.type, text)


class SecretTextarea(forms.Textarea):
    """A text area that never shows what was sent or stored."""

    def format_value(self, value: Any) -> str:
        return ""


class LinesField(InputField):
    """list, set or map of plain values: one a line, maps as KEY=value. A JSON list or object is read as well."""

    def make_widget(self) -> forms.Widget:
        attrs = {"rows": 3, "spellcheck": "false", "autocapitalize": "none"}
        attrs["placeholder"] = "NAME=value" if self._is_map else "One per line"
        return SecretTextarea(attrs=attrs) if self.variable.sensitive else forms.Textarea(attrs=attrs)

    @property
    def _is_map(self) -> bool:
        return self.variable.type.kind == "map"

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {**super().widget_attrs(widget), "maxlength": MAX_TEXT}

    def empty(self) -> Any:
        if self.stored or self.variable.required:
            return self.ABSENT
        if self.variable.default is None:
            return None
        # Emptying a list that has a default means no items, not the default's items.
        return {} if self._is_map else []

    def read(self, text: str) -> Any:
        if text.lstrip().startswith("{" if self._is_map else "["):
            return read_structured(text)
        element = self.variable.type.element or TerraformType("string")
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        if self._is_map:
            return self._read_map(element, lines)
        return [self._read_item(element, line, position) for position, line in enumerate(lines, start=1)]

    def _read_map(self, element: TerraformType, lines: list[str]) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for position, line in enumerate(lines, start=1):
            name, equals, value = line.partition("=")
            name = name.strip()
            if not equals or not name:
                raise ValidationError(f"Line {position}: write NAME=value.")
            if name in mapping:
                raise ValidationError(f"Line {position}: this name appears twice.")
            mapping[name] = self._read_item(element, value.strip(), position)
        return mapping

    @staticmethod
    def _read_item(element: TerraformType, text: str, position: int) -> Any:
        try:
            return read_as(element, text)
        except ValidationError as error:
            raise ValidationError(f"Line {position}: {error.message[:1].lower()}{error.message[1:]}") from None

    def write(self, value: Any) -> str:
        lines = self._lines(value)
        # Only what is read back as the same is written as lines; a browser sends every line end as one of its own.
        if lines and not lines.lstrip().startswith(("[", "{")):
            try:
                if "\r" not in lines and self.read(lines) == value:
                    return lines
            except ValidationError:
                pass
        return json.dumps(value, ensure_ascii=False, indent=2) if value else ""

    def _lines(self, value: Any) -> str:
        if isinstance(value, dict):
            return "\n".join(f"{name}={write_as(item)}" for name, item in value.items())
        return "\n".join(write_as(item) for item in value)


class _Typed(str):
    """Text as a browser sent it, to tell it from a value that is text."""


class StructuredField(InputField):
    """Nested types, and `any`: an editor for JSON or Terraform's own notation."""

    def make_widget(self) -> forms.Widget:
        attrs = {"rows": 5, "spellcheck": "false", "autocapitalize": "none", "class": "font-monospace"}
        return SecretTextarea(attrs=attrs) if self.variable.sensitive else forms.Textarea(attrs=attrs)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        attrs = {**super().widget_attrs(widget), "maxlength": MAX_TEXT}
        if self.variable.type.kind == "any":
            attrs["placeholder"] = "Text, or a value in JSON or Terraform's notation"
        return attrs

    @property
    def shape(self) -> str:
        """The type over several lines, for beside the editor."""
        return "" if self.variable.type.kind == "any" else type_shape(self.variable.type)

    def read(self, text: str) -> Any:
        if self.variable.type.kind == "any" and is_plain_text(text):
            return text.strip()
        return read_structured(text)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return _Typed("" if data is None else data)

    def prepare_value(self, value: Any) -> Any:
        if value is None or value is self.ABSENT:
            return ""
        # For the type `any`, text is a value; what someone just typed is shown as typed.
        return str(value) if isinstance(value, _Typed) else self.write(value)

    def write(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, indent=2)


def field_for(variable: Variable, *, stored: bool = False) -> InputField:
    """The field that fits a variable's type and hints."""
    hints = hints_of(variable)
    of = variable.type
    if hints.options and of.is_primitive and not variable.sensitive:
        return ChoiceField(variable, hints, stored=stored)
    if of.kind in {"list", "set", "map"} and of.element is not None and of.element.is_primitive:
        return LinesField(variable, hints, stored=stored)
    plain = {"string": TextField, "number": NumberField, "bool": SwitchField}
    return plain.get(of.kind, StructuredField)(variable, hints, stored=stored)


def read_as(of: TerraformType, text: str) -> Any:
    """Text as a value of a primitive type. Raises `ValidationError`."""
    if of.kind == "number":
        return read_number(text)
    if of.kind == "bool":
        if text.strip().lower() not in _WORDS:
            raise ValidationError("Choose yes or no (true or false).")
        return _WORDS[text.strip().lower()]
    return text


def read_number(text: str) -> int | float:
    """A number as people write it, with a point, without grouping. Raises `ValidationError`."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        raise ValidationError("Enter a number.")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValidationError("Enter a number.") from None
    # An exponent of thousands would build an integer of thousands of digits.
    if number.adjusted() > 300:
        raise ValidationError("Enter a number of a usual size.")
    if number == number.to_integral_value():
        return int(number)
    value = float(number)
    if not math.isfinite(value):
        raise ValidationError("Enter a finite number.")
    return value


def write_as(value: Any) -> str:
    """A plain value as text that `read_as` reads back."""
    if isinstance(value, str):
        return value
    return json.dumps(value)
