"""The fields of “Take over existing”: one for each thing the module names, and free lines for engineers."""

from typing import Any

from django import forms

from apps.accounts.models import User
from apps.catalog.interface import ModuleInterface
from apps.core.exceptions import UserError
from apps.provisioning.imports import LONGEST_ADDRESS, LONGEST_ID, MOST, Import

PREFIX = "takeover"


class TakeOverForm(forms.Form):
    """Empty fields take nothing over. `rows` says which field a row came from, so that its mistake stands beside it."""

    def __init__(self, *args: Any, interface: ModuleInterface, user: User, **kwargs: Any) -> None:
        kwargs["prefix"] = PREFIX
        super().__init__(*args, **kwargs)
        self.addresses = {f"id{number}": to for number, to in enumerate(interface.takeover)}
        for name, to in self.addresses.items():
            label = interface.resource_labels.get(to, to)
            self.fields[name] = forms.CharField(
                label=f"{label} ({to})",
                help_text=interface.takeover[to],
                required=False,
                max_length=LONGEST_ID,
                widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
            )
        if user.is_platform_engineer:
            self.fields["others"] = forms.CharField(
                label="Other resources",
                help_text="One a line: address = id, for example aws_s3_bucket.data = my-bucket",
                required=False,
                max_length=MOST * (LONGEST_ADDRESS + LONGEST_ID),
                widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
            )
        self.rows: list[str] = []

    def imports(self) -> list[Import]:
        """What a valid form names, in the order of its fields."""
        found = []
        self.rows = []
        for name, to in self.addresses.items():
            if value := self.cleaned_data.get(name):
                found.append(Import(to, value))
                self.rows.append(name)
        for line in self.cleaned_data.get("others", "").splitlines():
            if line.strip():
                to, _, value = line.partition("=")
                found.append(Import(to.strip(), value.strip()))
                self.rows.append("others")
        return found

    def show(self, error: UserError) -> None:
        """Put what a service refused beside the rows it concerns."""
        for name, messages in error.errors.items():
            part, _, rest = name.partition(".")
            number = rest.partition(".")[0]
            if part != "imports":
                continue
            field = self.rows[int(number)] if number.isdigit() and int(number) < len(self.rows) else None
            place = f"Line {self.rows[: int(number)].count('others') + 1}: " if field == "others" else ""
            self.add_error(field, [f"{place}{message}" for message in messages])
