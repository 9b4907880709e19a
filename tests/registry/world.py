import threading
from collections.abc import Callable
from typing import Any

from django.db import connection

from tests.experiments.conftest import Server


class Registry:
    """MLflow's registry as somebody outside Slipway uses it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.made: list[str] = []

    def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self.server.direct(method, f"/api/2.0/mlflow/{path}", **options)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def model(self, name: str, *, team: str | None = "churn", description: str = "") -> None:
        tags = [{"key": "slipway.team", "value": team}] if team else []
        self.ask("POST", "registered-models/create", json={"name": name, "tags": tags, "description": description})
        self.made.append(name)

    def version(self, name: str, logged: dict[str, str] | None = None, **tags: str) -> int:
        data: dict[str, Any] = {"name": name, "source": logged["uri"] if logged else "mlflow-artifacts:/0/none"}
        if logged:
            data |= {"run_id": logged["run_id"], "model_id": logged["model_id"]}
        data["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        return int(self.ask("POST", "model-versions/create", json=data)["model_version"]["version"])

    def alias(self, name: str, alias: str, version: int) -> None:
        self.ask("POST", "registered-models/alias", json={"name": name, "alias": alias, "version": str(version)})

    def alias_delete(self, name: str, alias: str) -> None:
        self.ask("DELETE", "registered-models/alias", json={"name": name, "alias": alias})

    def rename(self, name: str, new: str) -> None:
        self.ask("POST", "registered-models/rename", json={"name": name, "new_name": new})
        self.made[self.made.index(name)] = new

    def delete(self, name: str) -> None:
        self.ask("DELETE", "registered-models/delete", json={"name": name})
        self.made.remove(name)


def at_once(call: Callable[[], object], *, workers: int = 4) -> None:
    """Make the same call in threads, each with a connection of its own."""

    def work() -> None:
        try:
            call()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
