from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Start the portal with everything it needs, and end it all on Ctrl-C."
    # The databases that system checks would ask are not up yet.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        from portal.up.command import up

        raise SystemExit(up(Path(settings.DATA_DIR)))
