"""The newest changes, without sorting all of them for the first page."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0003_findings_imports_gpus")]
    operations = [
        migrations.AddIndex("change", models.Index(fields=["-created_at", "-id"], name="change_newest"))
    ]
