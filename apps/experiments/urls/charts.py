from django.urls import URLPattern, path

from apps.experiments.views import charts, charts_data, charts_points

urlpatterns: list[URLPattern] = [
    path("charts/", charts.charts, name="charts"),
    path("charts/curves/", charts_data.curves, name="charts-curves"),
    path("charts/points/", charts_points.points, name="charts-points"),
    path("charts/values/", charts_data.values, name="charts-values"),
    path("<str:experiment_id>/charts/", charts.charts, name="experiment-charts"),
    path("<str:experiment_id>/charts/values/", charts_data.values, name="experiment-charts-values"),
]
