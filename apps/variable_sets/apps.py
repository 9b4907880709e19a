from django.apps import AppConfig


class VariableSetsConfig(AppConfig):
    name = "apps.variable_sets"
    label = "variable_sets"
