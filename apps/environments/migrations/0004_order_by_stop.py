"""The list by stop time, without sorting every environment for its first page."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("environments", "0003_environment_runtime_version")]
    operations = [
        migrations.AddIndex(
            "environment",
            models.Index(models.F("expires_at").desc(nulls_last=True), models.F("id").desc(), name="environment_stops"),
        )
    ]
