from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.configuration import readme_with_table


class Command(BaseCommand):
    help = "Write the configuration table of the README from the settings themselves, or check that it is true."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.BASE_DIR) / "README.md"
        text = path.read_text()
        wanted = readme_with_table(text)
        if wanted == text:
            return
        if options["check"]:
            raise CommandError("README.md: the configuration table is out of date; run `manage.py configuration`.")
        path.write_text(wanted)
