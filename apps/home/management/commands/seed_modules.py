from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.catalog.interface import ModuleInvalid
from apps.core.exceptions import UserError
from apps.home.seeding import modules_seed, runtimes_seed


class Command(BaseCommand):
    help = "Publishes the modules that come with Slipway, and their Python environments. Again, it changes nothing."
    # They import every page of the portal, of which nothing is needed here.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.BASE_DIR / "terraform" / "modules"
        for runtime in runtimes_seed(folder):
            self.stdout.write(f"Python environment {runtime} is there.")
        try:
            for version in modules_seed(folder, None):
                self.stdout.write(f"Module {version} is in the catalog.")
        except (ModuleInvalid, UserError) as error:
            raise CommandError(str(error)) from None
