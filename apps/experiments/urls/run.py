from django.urls import URLPattern, path

from apps.experiments.views import compare, run, run_files, run_recreate

urlpatterns: list[URLPattern] = [
    path("compare/", compare.compare, name="compare"),
    path("compare/extras/", compare.extras, name="compare-extras"),
    path("runs/<slug:run_id>/", run.run, name="run"),
    path("runs/<slug:run_id>/metrics/", run.metrics, name="run-metrics"),
    path("runs/<slug:run_id>/metrics/ranges/", run.ranges, name="run-ranges"),
    path("runs/<slug:run_id>/note/", run.note, name="run-note"),
    path("runs/<slug:run_id>/artifacts/", run_files.artifacts, name="run-artifacts"),
    path("runs/<slug:run_id>/artifacts/tree/", run_files.tree, name="run-tree"),
    path("runs/<slug:run_id>/artifacts/file/", run_files.file, name="run-file"),
    path("runs/<slug:run_id>/artifacts/frame/", run_files.frame, name="run-frame"),
    path("runs/<slug:run_id>/traces/", run.traces, name="run-traces"),
    path("runs/<slug:run_id>/lineage/", run.lineage, name="run-lineage"),
    path("runs/<slug:run_id>/recreate/", run_recreate.recreate, name="run-recreate"),
]
