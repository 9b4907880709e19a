"""Pages and lists with a company's worth of rows behind them, over real HTTP, alone and under twenty clients."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg

from bench.figures import Figure, limited, percentile
from bench.load import Page, Taken, one_by_one, together
from bench.processes import ROOT

if TYPE_CHECKING:
    from bench.session import Session

CLIENTS = 20
LIMIT_MS = 100.0


def measure(session: Session) -> list[Figure]:
    portal = session.portal
    subprocess.run(
        [sys.executable, "-m", "bench.seeding", "quick" if session.quick else "full"],
        cwd=ROOT, env=portal.environ(), check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    pages = pages_of(session)
    alone = one_by_one(portal.port, pages, 3 if session.quick else 15)
    _tell(session, alone, "alone")
    walking = together(portal.port, pages, clients=CLIENTS, seconds=3 if session.quick else 60, think=True)
    _tell(session, walking, f"with {CLIENTS} clients")
    seconds = 2 if session.quick else 15
    rush = together(portal.port, pages, clients=CLIENTS, seconds=seconds, think=False)
    wrong = alone.wrong + walking.wrong + rush.wrong
    if wrong:
        raise RuntimeError(f"{len(wrong)} answers were not 200: {', '.join(sorted(set(wrong))[:5])}")
    return _figures(alone, walking, len(rush.all) / seconds)


def _figures(alone: Taken, walking: Taken, rate: float) -> list[Figure]:
    slowest, times = max(alone.times.items(), key=lambda item: percentile(item[1], 0.95))
    worst, slow = percentile(times, 0.95) * 1000, percentile(walking.all, 0.95) * 1000
    return [
        limited("pages", f"{len(alone.times)} pages and lists, {CLIENTS} people clicking, p95", slow, "ms", LIMIT_MS),
        Figure("pages", "The same, median", percentile(walking.all, 0.5) * 1000, "ms"),
        limited("pages", f"The slowest page asked alone, p95: {slowest}", worst, "ms", LIMIT_MS),
        Figure("pages", f"{CLIENTS} clients without a pause", rate, "pages/s"),
    ]  # fmt: skip


def _tell(session: Session, taken: Taken, how: str) -> None:
    session.say(f"slowest {how}, p95 in ms:")
    ranked = sorted(taken.times.items(), key=lambda item: -percentile(item[1], 0.95))
    for name, times in ranked[:12]:
        session.say(f"  {percentile(times, 0.95) * 1000:6.0f}  {name}")


def pages_of(session: Session) -> list[Page]:
    """Every list page, list of the API, home, search, inbox and the pages of one environment, by who may see them."""
    browsers = {name: {"Cookie": session.session_of(name)} for name in ("dana", "mira", "pete", "ada")}
    found = []
    for who, headers in browsers.items():
        paths = {**EVERYBODY, **(EVERYTHING if who in ("pete", "ada") else {}), **(PLATFORM if who == "pete" else {})}
        found += [Page(who, label, path, headers) for label, path in paths.items()]
        key, change = _environment(session, who)
        found += [Page(who, label, path.format(key, change), headers) for label, path in ONE.items()]
        if who != "ada":
            bearer = {"Authorization": f"Bearer {session.token(who)}"}
            found += [Page(who, f"API {name}", f"/api/v1/{name}", bearer) for name in API]
    return found


EVERYBODY = {
    "home": "/", "environments": "/environments/", "environments of a team": "/environments/?scope=team",
    "environments by text": "/environments/?scope=team&q=fraud+train",
    "environments by owner": "/environments/?scope=team&ordering=owner",
    "environments destroyed": "/environments/?scope=team&status=destroyed", "search": "/search/?q=fraud",
    "search of a person": "/search/?q=person+77", "search of nothing": "/search/?q=zzzzqqqq", "inbox": "/inbox/",
    "inbox menu": "/inbox/menu/", "people": "/accounts/people/", "account": "/accounts/",
}  # fmt: skip
EVERYTHING = {
    "all environments": "/environments/?scope=all", "audit": "/audit/", "audit by text": "/audit/?q=fraud",
    "audit by a rare text": "/audit/?q=zzzzqqqq", "all environments by text": "/environments/?scope=all&q=credit+sweep",
    "all environments by a rare text": "/environments/?scope=all&q=zzzzqqqq",
    "all environments by owner": "/environments/?scope=all&ordering=-owner",
}  # fmt: skip
PLATFORM = {"modules": "/modules/", "module": "/modules/local-notebook/"}
ONE = {
    "environment": "/environments/{0}/", "environment logs": "/environments/{0}/logs/?stream=build",
    "environment resources": "/environments/{0}/resources/", "environment settings": "/environments/{0}/settings/",
    "a change": "/environments/{0}/changes/{1}/", "a row": "/environments/{0}/row/",
}  # fmt: skip
API = (
    "environments/", "environments/?search=fraud", "environments/?ordering=-expires_at&page_size=200",
    "environments/?count=false", "changes/", "changes/?status=failed", "changes/?search=answer", "audit/",
    "audit/?search=credit", "teams/", "users/", "users/?search=person", "modules/",
    "modules/local-notebook/versions/", "me/",
)  # fmt: skip


def _environment(session: Session, who: str) -> tuple[str, str]:
    """An environment that this person sees, with a log and with its newest change."""
    query = """
        SELECT e.id,
               (SELECT c.id FROM provisioning_change c WHERE c.workspace_id = e.id ORDER BY created_at DESC LIMIT 1)
        FROM environments_environment e JOIN accounts_team t ON t.id = e.team_id
        WHERE t.slug = 'vision' AND e.status = 'running' AND EXISTS
        (SELECT 1 FROM provisioning_logline l WHERE l.workspace_id = e.id AND l.stream = 'build')
        ORDER BY e.id LIMIT 1
    """
    with psycopg.connect(session.portal.database_url) as connection:
        row = connection.execute(query).fetchone()
    if row is None:
        raise RuntimeError(f"there is no environment with a log for {who}")
    return str(row[0]), str(row[1])
