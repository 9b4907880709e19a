"""Query parameters of the list of environments."""

import django_filters
from django.db.models import QuerySet

from apps.environments.models import Environment


class EnvironmentFilter(django_filters.FilterSet):
    """Several values of a parameter mean any of them. Destroyed environments are listed only when asked for."""

    # Of the row's own columns: nothing can be found twice, so nothing is compared in all its columns to be found once.
    status = django_filters.MultipleChoiceFilter(choices=Environment.Status.choices, distinct=False)
    team = django_filters.CharFilter(field_name="team__slug")
    module = django_filters.CharFilter(field_name="module__slug")
    version = django_filters.CharFilter(field_name="module_version__version", help_text="Of its module.")
    owner = django_filters.CharFilter(field_name="owner__username")
    name = django_filters.CharFilter(field_name="name")
    mine = django_filters.BooleanFilter(method="filter_mine", help_text="Only your own.")

    class Meta:
        model = Environment
        fields = ("status", "team", "module", "version", "owner", "name", "mine")

    def filter_mine(self, rows: QuerySet[Environment], name: str, value: bool) -> QuerySet[Environment]:
        return rows.filter(owner=self.request.user) if value else rows

    def filter_queryset(self, queryset: QuerySet[Environment]) -> QuerySet[Environment]:
        rows = super().filter_queryset(queryset)
        return rows if self.form.cleaned_data.get("status") else rows.exclude(status=Environment.Status.DESTROYED)
