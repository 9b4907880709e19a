"""The MLflow route as a process of its own, so that its memory can be measured. Arguments: upstream, port."""

import os
import sys

import uvicorn

from apps.experiments.mlflow_proxy import MlflowPrincipal, MlflowProxy

READ, WRITE = frozenset({"read"}), frozenset({"read", "write"})
PEOPLE = {
    "dana-laptop": MlflowPrincipal("dana", frozenset({"vision", "churn"}), WRITE),
    "dana-notebook": MlflowPrincipal("dana", frozenset({"vision"}), WRITE, environment_id="environment-1"),
    "dana-dashboard": MlflowPrincipal("dana", frozenset({"vision", "churn"}), READ),
    "mallory": MlflowPrincipal("mallory", frozenset({"pricing"}), WRITE),
    "mallory-notebook": MlflowPrincipal(
        "mallory", frozenset({"pricing"}), WRITE, environment_id="environment-9", default_team="pricing"
    ),
    "ada": MlflowPrincipal("ada", frozenset(), READ, reads_everything=True),
}


async def authenticate(token: str) -> MlflowPrincipal | None:
    return PEOPLE.get(token)


def main(upstream: str, port: str) -> None:
    proxy = MlflowProxy(
        upstream=upstream,
        authenticate=authenticate,
        secret=os.environ["MLFLOW_SERVER_SECRET"],
        account_url="http://localhost:8000/account/",
    )
    uvicorn.run(proxy, port=int(port), log_level="warning", lifespan="off", proxy_headers=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
