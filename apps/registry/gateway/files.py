"""Files of a model version through MLflow's artifact REST: listed and read, never loaded as a model (it runs code)."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from urllib.parse import quote

import requests
from django.conf import settings

from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.experiments.gateway import CONNECT_SECONDS, call, credentials
from apps.experiments.gateway.workspaces import workspace_of_address

FILES = "/api/2.0/mlflow-artifacts/artifacts"
SCHEME = "mlflow-artifacts:"
CHUNK = 1024 * 1024
SILENT_SECONDS = 20.0
MOST_FILES = 500
DEEPEST = 8


@dataclass(frozen=True)
class ModelFile:
    path: str  # within the model's folder
    size: int | None


class FilesElsewhere(Exception):
    """The files lie in a store that the portal cannot read; `str()` says so in a sentence."""


class FileTooLarge(Exception):
    pass


def folder_of(storage: str) -> str:
    """The artifact path behind a version's storage address.

    Raises `FilesElsewhere` for other stores, and for paths that would lead out of the folder.
    """
    if not storage.startswith(SCHEME):
        scheme = storage.partition(":")[0][:20] or "nowhere"
        raise FilesElsewhere(f"Its files lie outside MLflow's own storage ({scheme}).")
    path = storage.removeprefix(SCHEME).lstrip("/")
    if not all(_is_plain(part) for part in path.rstrip("/").split("/")):
        raise FilesElsewhere("Its storage address cannot be used.")
    return path.rstrip("/")


def files_list(folder: str) -> list[ModelFile]:
    """Every file below a folder, in the order of their paths; no more than `MOST_FILES`."""
    found: list[ModelFile] = []
    waiting = [""]
    while waiting and len(found) < MOST_FILES:
        inner = waiting.pop()
        answer = call("GET", FILES, params={"path": f"{folder}/{inner}".rstrip("/")})
        for entry in answer.get("files") or []:
            name = str(entry.get("path", "")).rstrip("/").rpartition("/")[2]
            if not _is_plain(name):
                continue
            path = f"{inner}/{name}".lstrip("/")
            if not entry.get("is_dir"):
                size = entry.get("file_size")
                found.append(ModelFile(path, int(size) if size is not None else None))
            elif path.count("/") < DEEPEST:
                waiting.append(path)
    return sorted(found[:MOST_FILES], key=lambda each: each.path)


def file_read(folder: str, path: str, *, limit: int) -> bytes:
    """A small file whole. Raises `FileTooLarge`, `TrackerAway`, `TrackerRefused`."""
    held = bytearray()
    for chunk in _stream(folder, path):
        held += chunk
        if len(held) > limit:
            raise FileTooLarge
    return bytes(held)


def file_digest(folder: str, path: str, *, until: float) -> tuple[str, int]:
    """SHA-256 and size, with a megabyte in memory. Raises TimeoutError beyond `until` (monotonic)."""
    digest, size = hashlib.sha256(), 0
    for chunk in _stream(folder, path):
        digest.update(chunk)
        size += len(chunk)
        if monotonic() > until:
            raise TimeoutError
    return digest.hexdigest(), size


def _stream(folder: str, path: str) -> Iterator[bytes]:
    url = settings.MLFLOW_TRACKING_URI.rstrip("/") + FILES + "/" + quote(f"{folder}/{path}", safe="/")
    headers = credentials(workspace_of_address(url))
    try:
        with requests.get(url, headers=headers, timeout=(CONNECT_SECONDS, SILENT_SECONDS), stream=True) as answer:
            if answer.status_code >= 500 or answer.status_code in (401, 403):
                raise TrackerAway(reason=f"it answered {answer.status_code}")
            if answer.status_code >= 400:
                raise TrackerRefused(f"It answered {answer.status_code}.", absent=answer.status_code == 404)
            yield from answer.iter_content(CHUNK)
    except requests.RequestException as error:
        raise TrackerAway(reason=type(error).__name__) from error


def _is_plain(part: str) -> bool:
    return part not in ("", ".", "..") and "\\" not in part and "%" not in part and part.isprintable()
