from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.home.seeding import runtimes_seed


class Command(BaseCommand):
    help = "Makes the Python environments that come with Slipway known. Running it again changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        for runtime in runtimes_seed(settings.BASE_DIR / "terraform" / "modules"):
            self.stdout.write(f"Python environment {runtime} is there.")
