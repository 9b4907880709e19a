import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils.module_loading import autodiscover_modules

from apps.core.doctor import Report, Severity, examine, reports_json


class Command(BaseCommand):
    help = (
        "Look at everything the portal stands on, and say what is wrong and how it is cured. Exit code 1 for a fault."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="For programs.")
        parser.add_argument("--fix", action="store_true", help="Mend what can be mended without a risk.")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.core.probes import patient_meet

        autodiscover_modules("probes")
        patient = patient_meet(Path(settings.DATA_DIR).resolve())
        reports = examine(patient, fix=options["fix"])
        if options["json"]:
            self.stdout.write(json.dumps(reports_json(reports), indent=1))
        else:
            for report in reports:
                self._tell(report)
        if any(report.state == "fault" for report in reports):
            raise SystemExit(1)

    def _tell(self, report: Report) -> None:
        self.stdout.write(f"{report.name:<24} {report.state}")
        for text in report.fixed:
            self.stdout.write(f"    mended: {text}")
        for finding in report.findings:
            word = "FAULT" if finding.severity == Severity.FAULT else "note"
            self.stdout.write(f"    {word}: {finding.what}\n    cure:  {finding.cure}")
