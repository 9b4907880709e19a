"""Tokens of environments that exist already connect to clusters too: their notebooks may be moved to a newer version."""

from typing import Any

import django.contrib.postgres.fields
from django.db import migrations, models


def widen(apps: Any, schema_editor: Any) -> None:
    tokens = apps.get_model("accounts", "ApiToken").objects.exclude(environment_id=None).filter(revoked_at=None)
    tokens.filter(scopes=["mlflow"]).update(scopes=["connect", "mlflow"])


def narrow(apps: Any, schema_editor: Any) -> None:
    tokens = apps.get_model("accounts", "ApiToken").objects.exclude(environment_id=None)
    tokens.filter(scopes=["connect", "mlflow"]).update(scopes=["mlflow"])


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="apitoken",
            name="scopes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("read", "Read"),
                        ("write", "Read and write"),
                        ("mlflow", "MLflow tracking only"),
                        ("connect", "Connecting to clusters only"),
                    ],
                    max_length=16,
                ),
                size=None,
            ),
        ),
        migrations.RunPython(widen, narrow),
    ]
