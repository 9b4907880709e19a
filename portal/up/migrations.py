"""Whether the embedded database has every migration already: asking Django takes two seconds, reading a stamp none."""

import hashlib
from importlib.metadata import distributions
from pathlib import Path

from portal.up.children import ROOT
from portal.up.postgres import EmbeddedPostgres


class Migrations:
    """The stamp lies in the data directory's folder and goes with it. A server of somebody's own is always asked."""

    def __init__(self, postgres: EmbeddedPostgres | None, database: str) -> None:
        self.stamp = postgres.folder / "migrated" if postgres else None

    def applied(self) -> bool:
        if self.stamp is None:
            return False
        try:
            return self.stamp.read_text(encoding="ascii") == _digest()
        except OSError:
            return False

    def remember(self) -> None:
        if self.stamp:
            self.stamp.write_text(_digest(), encoding="ascii")


def _digest() -> str:
    """Of every migration of the portal and of the versions of everything installed."""
    total = hashlib.sha256()
    for path in sorted(ROOT.glob("apps/*/migrations/*.py")):
        total.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    total.update((ROOT / "portal" / "settings" / "base.py").read_bytes())
    for line in sorted(f"{one.name}=={one.version}" for one in distributions(path=[_site()])):
        total.update(line.encode())
    return total.hexdigest()


def _site() -> str:
    import django

    return str(Path(django.__file__).parents[1])
