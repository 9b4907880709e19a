"""What the pages of policies ask for."""

from typing import Any

from django import forms

from apps.accounts.models import Team
from apps.catalog.interface.manifest import TARGETS
from apps.catalog.models import Module
from apps.core.exceptions import UserError
from apps.policies.models import Policy
from apps.policies.rego_check import MAX_REGO
from apps.policies.services import Scope


def scope_choices() -> list[tuple[str, Any]]:
    """Everything, and under their headings each team, module and target."""
    teams = [(f"team:{team.slug}", team.name) for team in Team.objects.order_by("name")]
    modules = [(f"module:{module.slug}", module.title) for module in Module.objects.order_by("title")]
    targets = [(f"target:{target}", target) for target in sorted(TARGETS)]
    return [("", "Everything"), ("One team", teams), ("One module", modules), ("One target", targets)]


def scope_key(policy: Policy) -> str:
    """The choice that a policy's scope is."""
    named = {"team": policy.team and policy.team.slug, "module": policy.module and policy.module.slug}
    value = named.get(policy.scope, policy.target)
    return f"{policy.scope}:{value}" if value else ""


def scope_read(key: str) -> Scope:
    """Of one of the choices."""
    kind, _, value = key.partition(":")
    if kind == "team":
        return Scope(team=Team.objects.get(slug=value))
    if kind == "module":
        return Scope(module=Module.objects.get(slug=value))
    return Scope(target=value) if kind == "target" else Scope()


class ScopeForm(forms.Form):
    """The title of a policy and what it speaks of."""

    title = forms.CharField(max_length=80, error_messages={"required": "Give it a title."})
    scope = forms.ChoiceField(
        label="Speaks of",
        required=False,
        error_messages={"invalid_choice": "Choose one of these."},
        help_text="Plans of anything else are not asked about.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scope"].choices = scope_choices()  # type: ignore[attr-defined]

    def scope_chosen(self) -> Scope:
        return scope_read(self.cleaned_data["scope"])


class RulesForm(forms.Form):
    """The text of a policy; `expected` is the version that is being edited."""

    rego = forms.CharField(
        label="Rules",
        max_length=MAX_REGO,
        strip=False,
        widget=forms.Textarea(
            attrs={
                "rows": 24,
                "class": "font-monospace",
                "spellcheck": "false",
                "autocapitalize": "none",
                "wrap": "off",
            }
        ),
        error_messages={"required": "Write the rules."},
    )
    note = forms.CharField(
        label="What is new", max_length=200, required=False, help_text="One line for whoever reads the versions."
    )
    expected = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=0, max_value=2**31 - 1)


class PolicyForm(ScopeForm, RulesForm):
    """A new policy."""

    slug = forms.SlugField(
        label="Name",
        max_length=60,
        help_text="Named in every refusal and in the API, for example no-public-buckets.",
        error_messages={
            "required": "Give it a name.",
            "invalid": "Use small letters, digits and single hyphens, at most 60.",
        },
    )
    field_order = ("title", "slug", "scope", "rego", "note")


def show_error(form: forms.Form, error: UserError) -> None:
    """Put what a service refused beside the fields it names, the rest on top."""
    if not error.errors:
        form.add_error(None, str(error))
    for name, messages in error.errors.items():
        form.add_error(name if name in form.fields else None, messages)
