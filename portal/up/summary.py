"""What a person reads last when the portal has started: where it is, how to sign in, how to end it."""

import getpass
import os
import socket

from portal.up.options import UpOptions
from portal.up.places import Places

PEOPLE = "dana, mira (manager), pete (platform engineer), ada (auditor), mallory (another team)"


def summary(options: UpOptions, places: Places, url: str, port: int) -> str:
    lines = ["", f"  Slipway is at   {url}"]
    password = places.data / "password"
    if options.demo and password.exists():
        lines += [
            f"  Sign in as      {PEOPLE}",
            f"  Password        {password.read_text(encoding='utf-8').strip()}   (kept in {password})",
        ]
    else:
        lines.append(
            "  First person    .venv/bin/python manage.py create_user NAME --platform-engineer   (in another terminal)"
        )
    if os.environ.get("SSH_CONNECTION"):
        lines.append(f"  From your desk  ssh -L {port}:localhost:{port} {getpass.getuser()}@{socket.gethostname()}")
    lines += [f"  Logs            {places.logs}", "  To end it       Ctrl-C", ""]
    return "\n".join(lines)
