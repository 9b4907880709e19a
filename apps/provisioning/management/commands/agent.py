import signal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.provisioning.agent.build import agent_build
from apps.provisioning.agent.daemon import AlreadyRunning
from apps.provisioning.engine import EngineError


class Command(BaseCommand):
    help = "Run the agent of this machine: it starts Terraform and supervises local services."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--end-everything",
            action="store_true",
            help="When told to end, also cancel changes and end services (`make up` does this).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        root = Path(settings.DATA_DIR) / "agent"
        try:
            agent = agent_build(root=root)
        except EngineError as error:
            raise CommandError(str(error)) from None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: agent.stop())
        try:
            agent.run(end_everything=options["end_everything"])
        except AlreadyRunning as error:
            raise CommandError(str(error)) from None
