import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules

from apps.core.doctor import examine, reports_json
from apps.core.support import bundle_write


class Command(BaseCommand):
    help = "Write what somebody who helps wants to see into one file: findings, versions, logs; secrets are masked."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.core.probes import patient_meet

        target = options["file"] or Path(f"slipway-support-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz")
        autodiscover_modules("probes")
        patient = patient_meet(Path(settings.DATA_DIR).resolve())
        failures = failures_recent() if patient.database else []
        try:
            names = bundle_write(target, reports_json(examine(patient)), failures)
        except FileExistsError:
            raise CommandError(f"{target} exists already: name another file.") from None
        self.stdout.write(
            f"{target}: {len(names)} parts. Secrets are masked; names of people and environments are not."
        )


def failures_recent() -> list[dict[str, Any]]:
    """The failed changes of the last two weeks, without what Terraform printed, which may quote what people entered."""
    from apps.provisioning.models import Change

    rows = Change.objects.filter(status=Change.Status.FAILED, finished_at__gt=timezone.now() - timedelta(days=14))
    fields = (
        "id",
        "kind",
        "engine",
        "engine_version",
        "failure_code",
        "failure_summary",
        "correlation_id",
        "finished_at",
    )
    return list(rows.order_by("-finished_at").values(*fields)[:50])
