"""Serves one version of a registered model with MLflow's scoring server, behind the secret of the service."""
