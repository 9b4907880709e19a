import os
import subprocess
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core import health
from apps.core.exceptions import UserError
from apps.home.seeding import champions_seed, modules_seed, people_seed, runtimes_seed

TRAINING_SECONDS = 900


class Command(BaseCommand):
    requires_system_checks: list[str] = []
    help = "Fills the demo workspace: people, teams, modules, and experiments that are really trained."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--wait-mlflow", type=int, default=60, metavar="SECONDS", help="how long to wait for MLflow (default 60)"
        )
        parser.add_argument("--without-experiments", action="store_true", help="people, teams and modules only")

    def handle(self, *args: Any, **options: Any) -> None:
        password_file = settings.DATA_DIR / "password"
        pete = people_seed(password_file)
        self.stdout.write("People and teams are there.")
        for version in modules_seed(settings.BASE_DIR / "terraform" / "modules", pete):
            self.stdout.write(f"Module {version} is in the catalog.")
        for runtime in runtimes_seed(settings.BASE_DIR / "terraform" / "modules"):
            self.stdout.write(f"Python environment {runtime} is there.")
        if not options["without_experiments"]:
            self._wait(options["wait_mlflow"])
            self._train()
            self._promote()
        self.stdout.write(f"Sign in at {settings.PORTAL_URL} as dana; the password is in {password_file}.")

    def _wait(self, seconds: int) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                health.mlflow_ask()
                return
            except health.Unhealthy as reason:
                if time.monotonic() >= deadline:
                    raise CommandError(
                        f"MLflow {reason}, so no experiments were made. Run this again when it is up."
                    ) from None
            time.sleep(0.5)

    def _train(self) -> None:
        """In a process of its own: MLflow is slow to import, and the portal's settings are no business of training.

        It speaks to the MLflow server itself, as the portal does, and stamps the team of every experiment.
        """
        environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        environ |= {
            "MLFLOW_TRACKING_URI": settings.MLFLOW_TRACKING_URI,
            "MLFLOW_SERVER_SECRET": settings.MLFLOW_SERVER_SECRET,
            "MLFLOW_TRACKING_TOKEN": settings.MLFLOW_SERVER_TOKEN,
        }
        command = [sys.executable, "-m", "apps.experiments.demo.train"]
        self.stdout.write("Training the demo models.")
        self.stdout.flush()
        try:
            subprocess.run(
                command,
                cwd=settings.BASE_DIR,
                env={name: value for name, value in environ.items() if value},
                check=True,
                timeout=TRAINING_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            raise CommandError(f"The training ended with {error.returncode}. Run this again; it continues.") from None
        except subprocess.TimeoutExpired:
            raise CommandError("The training takes too long. Run this again; it continues.") from None

    def _promote(self) -> None:
        try:
            for name in champions_seed():
                self.stdout.write(f"{name} has its champion.")
        except UserError as error:  # Somebody was faster, or MLflow has gone: there is a demo without.
            self.stdout.write(f"The demo's models have no alias yet: {error}")
