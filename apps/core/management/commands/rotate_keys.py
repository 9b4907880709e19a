import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.ciphers import ciphers_rotate, keys_in_use, keys_lost, lost_words
from apps.core.crypto import keys_known
from apps.core.rotation import RotationRefused, file_replace, key_add, key_file, keys_drop, keys_outdated


class Command(BaseCommand):
    help = "Put every stored secret under a new key, while the portal runs. May be ended anywhere and run again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--drop-old", action="store_true", help="Then take the older keys out of the key file.")
        parser.add_argument(
            "--same-key", action="store_true", help="Make no new key: only put everything under the present first one."
        )
        parser.add_argument(
            "--secret-key",
            action="store_true",
            help="Renew SECRET_KEY instead, where `make up` keeps it; taken up by the next start, the old one stays "
            "a fallback. With --drop-old the fallbacks go, and whoever they signed in signs in again.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["secret_key"]:
            self._secret_key(drop=options["drop_old"])
            return
        path = key_file()
        if path is None and not options["same_key"]:
            self.stdout.write("The keys are in SLIPWAY_KEYS: what is stored goes under the first of them.")
            self.stdout.write("(A new one: `manage.py make_key`, put in front in every process, restart, run this.)")
        elif path is not None and not options["same_key"]:
            self._key_new(path)
        lost = keys_lost()
        count = ciphers_rotate(lambda column, rows: self.stdout.write(f"  {rows} {column.words}"))
        first = keys_known().first
        self.stdout.write(f"{count} values were put under key {first}.")
        if lost:
            raise CommandError(f"Some could not be opened: {lost_words(lost)}. Add it and run this again.")
        if options["drop_old"]:
            self._drop(path)
        elif len(keys_known().by_id) > 1:
            self.stdout.write("Nothing stored needs the older keys; backups made before do. Take them out with")
            self.stdout.write("  manage.py rotate_keys --same-key --drop-old")

    def _key_new(self, path: Path) -> None:
        """Only where the last rotation has ended, so that running this again goes on with it."""
        left = keys_outdated()
        if left and len(keys_known().by_id) > 1:
            self.stdout.write(f"An earlier rotation to key {keys_known().first} goes on: {left} values are left.")
            return
        self.stdout.write(f"Key {key_add(path)} encrypts from now on ({path}).")

    def _drop(self, path: Path | None) -> None:
        if path is None:
            older = [name for name in keys_in_use() if name != keys_known().first]
            if older:
                raise CommandError("Values need the older keys still.")
            self.stdout.write("Nothing needs the older keys: take them out of SLIPWAY_KEYS and restart.")
            return
        try:
            ids = keys_drop(path)
        except RotationRefused as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Taken out of {path}: {', '.join(ids) or 'nothing'}.")

    def _secret_key(self, *, drop: bool) -> None:
        path = Path(settings.DATA_DIR) / "keys" / "secret_key"
        if not path.exists():
            raise CommandError(
                "SECRET_KEY comes from the environment: give a new one, name the present one in "
                "SECRET_KEY_FALLBACKS, and restart."
            )
        lines = path.read_text(encoding="utf-8").split()
        if drop:
            file_replace(path, lines[:1])
            self.stdout.write(f"{len(lines) - 1} older values were taken out; this holds from the next start.")
            return
        file_replace(path, [secrets.token_urlsafe(64), *lines])
        self.stdout.write("A new SECRET_KEY is used from the next start; sessions of before stay valid.")
