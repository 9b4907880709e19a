from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Make the portal of a backup again, in the empty folder SLIPWAY_DATA. Start it afterwards as usual."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--passphrase-file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        from portal.keeping.errors import KeepingError
        from portal.keeping.restore import keys_warning, restore
        from portal.keeping.sealing import passphrase_read
        from portal.up.places import Places, PlaceUnsafe

        data = Path(settings.DATA_DIR)
        try:
            sealed = options["passphrase_file"]
            passphrase = passphrase_read(sealed) if sealed else None
            manifest = restore(data, options["file"].absolute(), passphrase, self.stderr.write)
        except (KeepingError, PlaceUnsafe) as error:
            raise CommandError(str(error)) from None
        if warning := keys_warning(manifest, Places(data.resolve())):
            self.stderr.write(f"Note: {warning}")
        self.stdout.write(
            f"The portal of {manifest['made_at']} is in {data}, with {manifest['environments']} environments. "
            "What ran is shown as stopped; start the portal, then start them."
        )
