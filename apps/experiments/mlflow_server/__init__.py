"""The MLflow tracking server of an installation without one of its own: `python -m apps.experiments.mlflow_server`.

`server` is the process, `additions` the addresses it has beside MLflow's own: `histories` and `run_pages`.
"""
