from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.catalog.interface import ModuleInvalid
from apps.catalog.services import module_register
from apps.core.exceptions import UserError


class Command(BaseCommand):
    help = "Register the version that each given module directory declares."
    # They import every page of the portal, of which nothing is needed here.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        for path in options["paths"]:
            try:
                version = module_register(path=path.resolve(), actor=None)
            except (ModuleInvalid, UserError) as error:
                raise CommandError(f"{path}: {error}") from None
            self.stdout.write(f"{version.module.slug} {version.version} ({version.digest[:12]})")
