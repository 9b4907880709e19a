"""Writing at a real MLflow server behind the portal's back, as somebody with the server's secret can."""

import secrets
from typing import Any

from tests.experiments.conftest import Server


class Tracker:
    """The MLflow server as somebody with its secret sees it: nothing of this passes the portal."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def ask(self, noun: str, **body: Any) -> dict[str, Any]:
        answer = self.server.direct("POST", f"/api/2.0/mlflow/{noun}", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def experiment(self, name: str = "", **more: Any) -> str:
        name = name or f"vision/study-{secrets.token_hex(4)}"
        return str(self.ask("experiments/create", name=name, **more)["experiment_id"])

    def run(self, experiment_id: str, start: int = 1_762_000_000_000, end: int | None = None, **data: Any) -> str:
        tags = [{"key": key, "value": value} for key, value in data.pop("tags", {}).items()]
        name = data.pop("name", "")
        made = self.ask(
            "runs/create",
            experiment_id=experiment_id,
            start_time=start,
            tags=tags,
            **({"run_name": name} if name else {}),
        )
        run_id = str(made["run"]["info"]["run_id"])
        self.log(run_id, **data)
        if end is not None:
            self.ask("runs/update", run_id=run_id, status="FINISHED", end_time=end)
        return run_id

    def log(
        self, run_id: str, metrics: dict[str, Any] | None = None, params: dict[str, str] | None = None, step: int = 0
    ) -> None:
        points = [
            {"key": key, "value": value, "timestamp": 1_762_000_000_500, "step": step}
            for key, value in (metrics or {}).items()
        ]
        given = [{"key": key, "value": value} for key, value in (params or {}).items()]
        for begin in range(0, max(len(points), 1), 1000):
            self.ask(
                "runs/log-batch", run_id=run_id, metrics=points[begin : begin + 1000], params=given if not begin else []
            )

    def get(self, run_id: str) -> dict[str, Any]:
        answer = self.server.direct("GET", f"/api/2.0/mlflow/runs/get?run_id={run_id}")
        return dict(answer.json()["run"])
