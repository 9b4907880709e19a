#!/usr/bin/env python
"""Entry point of every command of the portal."""

import os
import sys


def up_alone() -> int:
    """`up` without loading the applications, which are in the processes that it starts: it takes half the memory."""
    from pathlib import Path

    from django.conf import settings

    from portal.up.command import up

    return up(Path(settings.DATA_DIR))


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.dev")
    from django.core.management import execute_from_command_line

    from portal.env import SettingError
    from portal.up.running import running_portal_join

    if sys.argv[1:2] != ["up"]:
        running_portal_join()

    try:
        if sys.argv[1:] == ["up"]:
            raise SystemExit(up_alone())
        execute_from_command_line(sys.argv)
    except SettingError as error:
        print(f"Slipway cannot start. {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
