from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.accounts.models import ApiToken, User
from apps.accounts.services import token_create
from apps.core.exceptions import UserError


class Command(BaseCommand):
    help = "Makes an API token for a person and prints the token, and nothing else."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument(
            "--scope", choices=[str(scope) for scope in ApiToken.PERSONAL_SCOPES], default=ApiToken.Scope.READ.value
        )
        parser.add_argument("--days", type=int, default=90, help="days until it expires, 1 to 366 (default 90)")
        parser.add_argument("--name", default="Command line")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"], is_active=True).first()
        if user is None:
            raise CommandError(f"Nobody signs in as {options['username']}.")
        expires_at = timezone.now() + timedelta(days=max(-1, min(options["days"], 10_000)))
        try:
            _, secret = token_create(user=user, name=options["name"], scopes=[options["scope"]], expires_at=expires_at)
        except UserError as error:
            texts = [text for texts in error.errors.values() for text in texts] or [str(error)]
            raise CommandError(" ".join(texts)) from None
        self.stdout.write(secret)
