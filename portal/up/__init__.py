"""The supervisor behind `manage.py up`, and the embedded PostgreSQL, Valkey and MLflow server it starts."""
