"""The few answers that an application host gives by itself: a page for people, a problem document for scripts."""

from html import escape

from apps.core.proxying import Headers, Reply
from apps.environments.access.contracts import Asked

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title} · Slipway</title><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto 0;padding:0 1.25rem;
color:#1b2430;background:#f6f8fb}}
h1{{font-size:1.4rem;margin:0 0 .5rem}}a{{color:#0359ae}}
@media (prefers-color-scheme:dark){{body{{color:#e6ebf2;background:#10151c}}a{{color:#8ab8f0}}}}
</style></head><body><main><h1>{title}</h1><p>{detail}</p>{link}</main></body></html>
"""
PAGE_HEADERS: Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


def answer(
    asked: Asked,
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    link: tuple[str, str] | None = None,
    retry_after: int | None = None,
) -> Reply:
    """`link` is (address, words) of what to do next; only pages show it."""
    headers = [(b"retry-after", str(retry_after).encode())] if retry_after is not None else []
    if asked.is_navigation:
        anchor = f'<p><a href="{escape(link[0])}">{escape(link[1])}</a></p>' if link else ""
        page = PAGE.format(title=escape(title), detail=escape(detail), link=anchor)
        return Reply(status, [*PAGE_HEADERS, *headers], page.encode())
    problem = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "code": f"environments:{code}",
    }
    return Reply.json(status, problem, headers=headers, problem=True)


def not_found(asked: Asked, portal_url: str) -> Reply:
    return answer(
        asked,
        404,
        "not-found",
        "Not found, or not shared with you",
        "No environment of this address is open to you. It may have been destroyed; addresses are never used again.",
        link=(portal_url + "/", "Go to your environments"),
    )


def foreign(asked: Asked) -> Reply:
    detail = "Another site asked for this in your name. Open the page itself."
    return answer(asked, 403, "foreign-origin", "Refused", detail)


def ticket_refused(asked: Asked, again: str) -> Reply:
    detail = "It works once, for a minute, and only in the browser that asked for it."
    return answer(asked, 403, "ticket-refused", "This link is no longer good", detail, link=(again, "Open it again"))


def sign_in_first(asked: Asked) -> Reply:
    detail = "The session of this page has ended. Reload the page to go on; nothing was lost."
    return answer(asked, 401, "signed-out", "Sign in again", detail)


def not_running(asked: Asked, status: str, title: str) -> Reply:
    detail = f"{title} is not running (the environment is {status}). Reload the page to see why, and to start it."
    return answer(asked, 503, "not-running", "Not running", detail, retry_after=5)


def unreachable(asked: Asked, title: str, again: str) -> Reply:
    detail = f"{title} runs but does not answer at the moment. Your files are safe. Try again in a few seconds."
    link = (again, "See what it is doing")
    return answer(asked, 502, "unreachable", f"{title} does not answer", detail, link=link, retry_after=2)


def undecided(asked: Asked) -> Reply:
    detail = "The portal cannot look up your access right now. What runs goes on running. Try again in a moment."
    return answer(asked, 503, "undecided", "One moment", detail, retry_after=2)
