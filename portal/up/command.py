"""`manage.py up`: options, the one-portal-a-folder lock, the port; then the supervisor."""

from pathlib import Path

from portal.env import SettingError
from portal.up.lock import UpLock
from portal.up.options import options_read
from portal.up.output import plain, say
from portal.up.places import Places, PlaceUnsafe, folder_private
from portal.up.ports import AddressUnusable, portal_sockets_bind
from portal.up.supervisor import Supervisor

# An earlier one that is ending gets as long as its agent may need.
ENDING_SECONDS = 90


def up(data: Path) -> int:
    """Runs until told to end; returns the exit code. Raises SettingError for a setting that cannot be used."""
    options = options_read()
    try:
        places = Places(folder_private(data.resolve()))
        lock = UpLock(places)
    except (PlaceUnsafe, OSError) as error:
        raise SettingError(f"SLIPWAY_DATA: {error}") from None
    if not lock.acquire():
        process, state, url = lock.holder()
        if state != "stopping":
            how = f" or `kill {process.pid}`" if process else ""
            plain(f"Slipway runs here already: {url or 'it is starting'}\nEnd it with Ctrl-C in its terminal{how}.")
            return 0
        say("An earlier run is ending, waiting for it")
        if not lock.wait(ENDING_SECONDS):
            plain(f"It did not end within {ENDING_SECONDS} s; see {places.logs}.")
            return 1
    if (places.data / "restoring").exists():
        lock.release()
        raise SettingError(
            f"SLIPWAY_DATA: a restore into {places.data} was cut off; empty the folder and restore again."
        )
    try:
        sockets = portal_sockets_bind(options.bind, options.port)
    except AddressUnusable as error:
        lock.release()
        raise SettingError(str(error)) from None
    try:
        if sockets.port != options.port:
            say(f"Port {options.port} is taken, using {sockets.port} instead")
        return Supervisor(options, places, sockets, lock).run()
    finally:
        sockets.close()
        lock.release()
