import getpass
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.services import user_create
from apps.core.exceptions import UserError


class Command(BaseCommand):
    help = "Adds a person, for example the first platform engineer. The password is asked for, or read from stdin."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--email", default="")
        parser.add_argument("--first-name", default="")
        parser.add_argument("--last-name", default="")
        parser.add_argument("--platform-engineer", action="store_true")
        parser.add_argument("--auditor", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        try:
            user = user_create(
                actor=None,
                username=options["username"],
                password=password,
                email=options["email"],
                first_name=options["first_name"],
                last_name=options["last_name"],
                is_platform_engineer=options["platform_engineer"],
                is_auditor=options["auditor"],
            )
        except UserError as error:
            texts = [f"{name}: {text}" for name, texts in error.errors.items() for text in texts] or [str(error)]
            raise CommandError("\n".join(texts)) from None
        self.stdout.write(f"{user.username} can sign in now.")
