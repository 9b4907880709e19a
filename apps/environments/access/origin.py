"""Which requests may use a session cookie: those of the application's own pages, and pages that people open.

`SameSite` is not enough. Browsers count all application hosts under one registrable domain as one site, and send the
cookie of one along with requests that a page on another makes. Code in notebooks is anybody's code.
"""

from urllib.parse import urlsplit

from apps.environments.access.contracts import AccessSettings, Asked

SAFE = {"GET", "HEAD", "OPTIONS"}


def own_origin(settings: AccessSettings, asked: Asked) -> str:
    return f"{urlsplit(settings.apps_url).scheme}://{asked.host.lower()}"


def is_foreign(settings: AccessSettings, asked: Asked) -> bool:
    """True for what another origin's page asks in the person's name, except for opening a page at top level."""
    own, origin = own_origin(settings, asked), asked.header("origin").lower()
    site = asked.header("sec-fetch-site")
    if asked.websocket:
        # Browsers always send Origin with a handshake, and have no other protection against foreign ones.
        return origin != own or site not in ("", "same-origin")
    if origin not in ("", "null", own):
        return True
    if site:
        return site not in ("same-origin", "none") and not _opens_a_page(asked)
    # Old browsers, and plain HTTP to another machine, where browsers leave Sec-Fetch-* out.
    if asked.method not in SAFE:
        return origin != own
    referer = asked.header("referer").lower()
    return bool(referer) and not f"{referer}/".startswith(f"{own}/") and not asked.is_navigation


def _opens_a_page(asked: Asked) -> bool:
    return asked.is_navigation and asked.header("sec-fetch-dest") in ("document", "")
