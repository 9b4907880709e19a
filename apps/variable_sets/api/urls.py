from apps.variable_sets.api.views import UUID, SetVariableViewSet, VariableSetViewSet

routes = [
    ("variable-sets", VariableSetViewSet, "variable-set"),
    (rf"variable-sets/(?P<set_pk>{UUID})/variables", SetVariableViewSet, "set-variable"),
]
