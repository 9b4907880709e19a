from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0001_index"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(condition=models.Q(("archived", False)), fields=["experiment", "id"], name="run_kept"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                models.OrderBy(models.F("duration_ms"), descending=True, nulls_last=True),
                models.OrderBy(models.F("id"), descending=True),
                name="run_longest",
            ),
        ),
    ]
