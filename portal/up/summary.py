"""What a person reads last when the portal has started: where it is, how to sign in, how to end it."""

import getpass
import os
import shlex
import socket
import sys
from pathlib import Path

from portal.up.children import ROOT
from portal.up.options import UpOptions
from portal.up.places import Places

PEOPLE = "dana, mira (manager), pete (platform engineer), ada (auditor), mallory (another team)"


def first_person(places: Places) -> str:
    """The command that makes the first person, to be typed in the project's folder."""
    known = places.data == (ROOT / ".slipway").resolve()
    where = "" if known else f"SLIPWAY_DATA={shlex.quote(str(places.data))} "
    python = Path(sys.executable)
    shown = python.relative_to(ROOT) if python.is_relative_to(ROOT) else python
    return f"{where}{shlex.quote(str(shown))} manage.py create_user NAME --platform-engineer"


def summary(options: UpOptions, places: Places, url: str, port: int) -> str:
    lines = ["", f"  Slipway is at   {url}"]
    password = places.data / "password"
    if options.demo and password.exists():
        lines += [
            f"  Sign in as      {PEOPLE}",
            f"  Password        {password.read_text(encoding='utf-8').strip()}   (kept in {password})",
        ]
    else:
        lines.append(f"  First person    {first_person(places)}   (in another terminal; it asks for a password)")
    if os.environ.get("SSH_CONNECTION"):
        lines.append(f"  From your desk  ssh -L {port}:localhost:{port} {getpass.getuser()}@{socket.gethostname()}")
    lines += [f"  Logs            {places.logs}", "  To end it       Ctrl-C", ""]
    return "\n".join(lines)
