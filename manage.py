#!/usr/bin/env python
"""Entry point of every command of the portal."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.dev")
    from django.core.management import execute_from_command_line

    from portal.env import SettingError
    from portal.up.running import running_portal_join

    if sys.argv[1:2] != ["up"]:
        running_portal_join()

    try:
        execute_from_command_line(sys.argv)
    except SettingError as error:
        print(f"Slipway cannot start. {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
