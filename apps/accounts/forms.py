from datetime import timedelta
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib.auth.forms import AuthenticationForm, SetPasswordForm
from django.core.validators import MaxLengthValidator
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify

from apps.accounts.models import ApiToken, Membership, Team, User
from apps.core.exceptions import UserError


def show_error(form: forms.BaseForm, error: UserError) -> None:
    """Put what a service refused beside the fields it names, the rest on top."""
    shown = False
    for name, texts in error.errors.items():
        for text in texts:
            form.add_error(name if name in form.fields else None, text)
            shown = True
    if not shown:
        form.add_error(None, str(error))


class SignInForm(AuthenticationForm):
    """Marked up the way password managers expect."""

    username = forms.CharField(
        max_length=150,
        widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "username", "autocapitalize": "none"}),
    )
    password = forms.CharField(
        strip=False, max_length=1000, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    error_messages = {
        "invalid_login": "Username and password do not match. Check both; capitals count.",
        "inactive": "This account is switched off. A platform engineer can switch it on.",
    }


class PasswordForm(forms.Form):
    current = forms.CharField(
        label="Current password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = forms.CharField(
        label="New password",
        strip=False,
        max_length=1000,
        help_text="At least 12 characters. A few random words are easiest to keep.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class PasswordResetForm(SetPasswordForm):
    """The new password twice, as nobody is there to know the old one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.max_length = 1000  # type: ignore[attr-defined]
            field.validators.append(MaxLengthValidator(1000))
        self.fields["new_password1"].help_text = "At least 12 characters. A few random words are easiest to keep."


class ProfileForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ("first_name", "last_name", "email")


@cache
def zone_choices() -> list[tuple[str, str]]:
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix")))
    return [("", "UTC"), *((name, name.replace("_", " ")) for name in names)]


class LongSelect(forms.Select):
    """A select of hundreds of options, written without a template for each of them."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        chosen = set(self.format_value(value))
        options = format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            ((key, mark_safe(" selected") if str(key) in chosen else "", label) for key, label in self.choices),
        )
        attributes = flatatt({"name": name, **self.build_attrs(self.attrs, attrs)})
        return format_html("<select{}>{}</select>", attributes, options)


class PreferencesForm(forms.Form):
    theme = forms.ChoiceField(choices=User.Theme.choices)
    time_zone = forms.ChoiceField(label="Time zone", choices=zone_choices, required=False, widget=LongSelect)
    shortcuts = forms.BooleanField(
        label="Keyboard shortcuts", required=False, help_text="Ctrl or ⌘ K works in any case."
    )


class TokenForm(forms.Form):
    DAYS = ((1, "1 day"), (7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "1 year"))

    name = forms.CharField(
        max_length=80,
        help_text="Where it is used, for example “CI of churn”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scope = forms.ChoiceField(
        choices=[(scope.value, scope.label) for scope in ApiToken.PERSONAL_SCOPES], initial=ApiToken.Scope.READ
    )
    days = forms.TypedChoiceField(label="Expires in", choices=DAYS, coerce=int, initial=90)

    def lifetime(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])


class MemberForm(forms.Form):
    person = forms.CharField(
        label="Username or e-mail address",
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    role = forms.ChoiceField(choices=Membership.Role.choices, initial=Membership.Role.MEMBER)

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        # Several of these forms stand on one page, so each has ids of its own.
        kwargs["auto_id"] = f"id_{team.slug}_%s"
        super().__init__(*args, **kwargs)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Membership.Role.choices)


class PersonForm(forms.Form):
    username = forms.CharField(max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)
    email = forms.EmailField(label="E-mail address", required=False)
    is_platform_engineer = forms.BooleanField(
        label="Platform engineer", required=False, help_text="Sees every team; publishes modules; manages people."
    )
    is_auditor = forms.BooleanField(label="Auditor", required=False, help_text="Reads everything, changes nothing.")


class TeamForm(forms.Form):
    name = forms.CharField(max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    manager = forms.CharField(
        label="Manager", max_length=254, help_text="Username or e-mail address of its first manager."
    )

    def slug(self) -> str:
        return slugify(self.cleaned_data["name"])[:40].strip("-")
