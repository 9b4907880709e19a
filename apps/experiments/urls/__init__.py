"""Addresses under /experiments/. Those of fixed words stand above those that take an id."""

from apps.experiments.urls import charts, index, run, table

app_name = "experiments"

urlpatterns = [*index.urlpatterns, *charts.urlpatterns, *run.urlpatterns, *table.urlpatterns]
