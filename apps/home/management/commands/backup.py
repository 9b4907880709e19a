from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Write everything this portal is into one file, while it runs: databases, keys, states, people's files."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--passphrase-file", type=Path, help="Seal keys and states with the passphrase in it.")
        parser.add_argument("--without-keys", action="store_true", help="Leave the keys out; keep them elsewhere.")
        parser.add_argument("--without-volumes", action="store_true", help="Leave people's files out.")

    def handle(self, *args: Any, **options: Any) -> None:
        from portal.keeping.backup import BackupWish, backup
        from portal.keeping.errors import KeepingError
        from portal.keeping.sealing import passphrase_read
        from portal.up.places import Places

        try:
            sealed = options["passphrase_file"]
            wish = BackupWish(
                options["file"].absolute(),
                passphrase=passphrase_read(sealed) if sealed else None,
                keys=not options["without_keys"],
                volumes=not options["without_volumes"],
            )
            manifest = backup(Places(Path(settings.DATA_DIR).resolve()), wish, self.stderr.write)
        except KeepingError as error:
            raise CommandError(str(error)) from None
        for warning in manifest["warnings"]:
            self.stderr.write(f"Note: {warning}")
        if manifest["keys"] and not manifest["sealed"]:
            self.stderr.write("Note: the keys are in it in the clear; keep the file as you would keep them.")
        size = options["file"].stat().st_size / 1e6
        self.stdout.write(f"{options['file']} holds {manifest['environments']} environments ({size:.1f} MB).")
