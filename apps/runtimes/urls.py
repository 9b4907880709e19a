from typing import Any

app_name = "runtimes"

urlpatterns: list[Any] = []
