from datetime import date

from django import forms

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2200, 1, 1)


class EventFilterForm(forms.Form):
    """The query of the audit page; what cannot be read is left out and said."""

    AREAS = (
        ("", "Everything"),
        ("accounts:session", "Sign-ins"),
        ("accounts:", "People, teams, tokens"),
        ("catalog:", "Modules"),
        ("environments:", "Environments"),
        ("provisioning:", "Changes"),
    )

    q = forms.CharField(required=False, max_length=100)
    area = forms.ChoiceField(required=False, choices=AREAS)
    actor = forms.CharField(required=False, max_length=150)
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)

    def clean_since(self) -> date | None:
        return self._bounded("since")

    def clean_until(self) -> date | None:
        return self._bounded("until")

    def _bounded(self, name: str) -> date | None:
        day = self.cleaned_data[name]
        if day and not FIRST_DAY <= day <= LAST_DAY:
            raise forms.ValidationError("This day is too far away.")
        return day
