from typing import Any

app_name = "variable_sets"

urlpatterns: list[Any] = []
