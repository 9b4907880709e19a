from typing import Any

app_name = "policies"

urlpatterns: list[Any] = []
