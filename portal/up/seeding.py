"""The demo workspace: filled once, in the background, after the page is up; tried again until it succeeded."""

from portal.up import children
from portal.up.child import Child
from portal.up.output import plain, say
from portal.up.places import Places
from portal.up.process import log_tail


class Seeding:
    """`stamp` says that it was finished; it lies with the data, so a removed `.slipway` is filled anew."""

    def __init__(self, places: Places, environ: dict[str, str]) -> None:
        self.places = places
        self.environ = environ
        self.stamp = places.data / "seeded"
        self.child: Child | None = None

    def start(self) -> None:
        if self.stamp.exists():
            return
        say("Filling the demo workspace in the background")
        self.child = children.seed(self.places, self.environ)
        self.child.start()

    def watch(self) -> None:
        if self.child is None or self.child.process is None or self.child.running():
            return
        child, self.child = self.child, None
        child.record.unlink(missing_ok=True)
        if child.process is not None and child.process.returncode == 0:
            self.stamp.touch(mode=0o600)
            say("The demo workspace is filled")
            return
        say(f"The demo workspace could not be filled; the next start tries again ({child.log}):")
        for line in log_tail(child.log, 6):
            plain(f"             {line}")

    def people_known(self) -> bool:
        """Whether the demo people's password exists, or will not come any more."""
        return self.child is None or (self.places.data / "password").exists()
