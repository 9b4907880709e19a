from django.urls import URLPattern, path

from apps.experiments.views import completing, experiments, exporting, table, table_acting

urlpatterns: list[URLPattern] = [
    path("", experiments.experiments, name="list"),
    path("runs/", table.runs, name="runs"),
    path("runs-new/", table.fresh, name="fresh"),
    path("complete/", completing.complete, name="complete"),
    path("columns/", table_acting.columns, name="columns"),
    path("columns/keep/", table_acting.layout, name="layout"),
    path("baseline/", table_acting.baseline, name="baseline"),
    path("bulk/", table_acting.bulk, name="bulk"),
    path("notes/", table_acting.note, name="note"),
    path("export/", exporting.export, name="export"),
    path("views/", table_acting.view_new, name="view-new"),
    path("views/<uuid:pk>/", table_acting.view_open, name="view"),
    path("views/<uuid:pk>/delete/", table_acting.view_remove, name="view-delete"),
    path("<str:experiment_id>/", table.experiment, name="experiment"),
    path("<str:experiment_id>/archive/", experiments.archive, name="archive"),
    path("<str:experiment_id>/main-metric/", experiments.main_metric, name="main-metric"),
]
