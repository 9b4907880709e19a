"""Files that runs and logged models have left at MLflow: listed, read in bounds, and named for streaming."""

import unicodedata
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

import requests
from django.conf import settings

from apps.core.exceptions import InvalidInput
from apps.experiments import gateway
from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.experiments.gateway.workspaces import workspace_of_address

PATH_LENGTH = 1000
CHUNK_BYTES = 64 * 1024
LARGE_BYTES = 8 * 1024 * 1024


class ArtifactPathInvalid(InvalidInput):
    """A path that leads out of its run's folder, or that is no path."""

    code = "experiments:artifact-path-invalid"
    title = "This is not a path of an artifact"

    def __init__(self, path: str, why: str) -> None:
        shown = "".join(letter if letter.isprintable() else "�" for letter in path[:120])
        message = f"“{shown}” is refused: {why}."
        super().__init__(message, errors={"path": [message]})


@dataclass(frozen=True)
class Source:
    """Whose files: a run's own, or those of a model that it has logged."""

    run_id: str
    model_id: str = ""


@dataclass(frozen=True)
class Entry:
    """A file or folder; `path` is from the source's own folder, `size` None for folders and where MLflow says none.

    `root` is where MLflow keeps that folder: "mlflow-artifacts:/7/<run id>/artifacts".
    """

    path: str
    name: str
    is_folder: bool
    size: int | None
    root: str = ""


def path_check(path: str) -> str:
    """The path without slashes at its ends, "" for the folder itself. Decoded as often as MLflow would, then judged."""
    decoded = path
    while (again := unquote(decoded)) != decoded:
        decoded = again
    for text in {path, decoded}:
        if len(text) > PATH_LENGTH:
            raise ArtifactPathInvalid(path, f"a path has at most {PATH_LENGTH} characters")
        if "\\" in text:
            raise ArtifactPathInvalid(path, "a path has no backslash")
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
            raise ArtifactPathInvalid(path, "a path has no control characters")
        if text.startswith("/"):
            raise ArtifactPathInvalid(path, "a path begins in the run's own folder, not with a slash")
        if any(part in ("..", ".") for part in text.split("/")):
            raise ArtifactPathInvalid(path, "a path does not lead out of the run's own folder")
        if "//" in text:
            raise ArtifactPathInvalid(path, "one of its parts is empty")
        if "#" in text:
            raise ArtifactPathInvalid(path, "MLflow takes no # in a path")
        if text[1:2] == ":" or "://" in text or text.lower().startswith("file:"):
            raise ArtifactPathInvalid(path, "an address is not a path")
    return path.rstrip("/")


def files_list(source: Source, path: str = "") -> list[Entry]:
    """What lies in a folder, folders first. Raises `ArtifactPathInvalid`, `TrackerAway`, `TrackerRefused`."""
    path = path_check(path)
    if source.model_id:
        where = f"logged-models/{quote(source.model_id, safe='')}/artifacts/directories"
        params = {"artifact_directory_path": path} if path else {}
    else:
        where, params = "artifacts/list", {"run_id": source.run_id, **({"path": path} if path else {})}
    answer = gateway.call("GET", where, params=params)
    root = str(answer.get("root_uri") or "")
    found = [_entry(one, root) for one in answer.get("files") or () if one.get("path")]
    return sorted(found, key=lambda entry: (not entry.is_folder, entry.name.lower(), entry.name))


def _entry(given: dict[str, Any], root: str) -> Entry:
    path = str(given["path"])
    size = given.get("file_size")
    is_folder = bool(given.get("is_dir"))
    return Entry(path, path.rpartition("/")[2], is_folder, None if is_folder else int(size or 0), root)


def file_find(source: Source, path: str) -> Entry | None:
    """The file or folder of this path, from the listing of the folder it lies in; None where there is none."""
    path = path_check(path)
    if not path:
        return Entry("", "", True, None)
    try:
        listed = files_list(source, path.rpartition("/")[0])
    except TrackerRefused as refused:
        if refused.absent:
            return None
        raise
    return next((entry for entry in listed if entry.path == path), None)


def file_address(source: Source, path: str, entry: Entry | None = None) -> str:
    """Where MLflow gives the file; it takes ranges there.

    Large files that the server keeps itself it sends six times as fast from its storage as by the run, where every 8 kB
    come from a thread of its own; but it knows no If-None-Match there, and decodes names once more.
    """
    path = path_check(path)
    base = settings.MLFLOW_TRACKING_URI.rstrip("/")
    root = entry.root if entry and (entry.size or 0) >= LARGE_BYTES else ""
    kept = root.removeprefix("mlflow-artifacts:/")
    if kept != root and not kept.startswith("/") and "%" not in kept + path:
        return f"{base}/api/2.0/mlflow-artifacts/artifacts/{quote(f'{kept}/{path}')}"
    if source.model_id:
        model = quote(source.model_id, safe="")
        query = urlencode({"artifact_file_path": path}, quote_via=quote)
        return f"{base}/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files?{query}"
    return f"{base}/get-artifact?{urlencode({'path': path, 'run_id': source.run_id}, quote_via=quote)}"


def credentials_for(address: str) -> dict[str, str]:
    """The headers with which MLflow gives a file."""
    return gateway.credentials(workspace_of_address(address))


def file_read(source: Source, path: str, *, most: int, begin: int = 0) -> bytes:
    """At most `most` bytes of the file from `begin` on. Raises `TrackerAway`, `TrackerRefused`."""
    address = file_address(source, path)
    headers = {**credentials_for(address), "Range": f"bytes={begin}-{begin + most - 1}"}
    try:
        with gateway._session().get(
            address,
            headers=headers,
            stream=True,
            timeout=(gateway.CONNECT_SECONDS, gateway.ANSWER_SECONDS),
        ) as answer:
            if answer.status_code == 416:  # an empty file has no first byte
                return b""
            if answer.status_code not in (200, 206):
                raise _refusal(answer)
            # A server that knows no ranges sends the whole file: what was not asked for is left unread.
            skip = begin if answer.status_code == 200 else 0
            return _read(answer, skip, most)
    except requests.RequestException as error:
        raise TrackerAway(reason=type(error).__name__) from error


def _read(answer: requests.Response, skip: int, most: int) -> bytes:
    parts, total = [], 0
    for chunk in answer.iter_content(CHUNK_BYTES):
        if skip:
            chunk, skip = chunk[skip:], max(0, skip - len(chunk))  # noqa: PLW2901
        parts.append(chunk[: most - total])
        total += len(parts[-1])
        if total >= most:
            break
    return b"".join(parts)


def _refusal(answer: requests.Response) -> TrackerAway | TrackerRefused:
    """A missing file is a 500 of MLflow's where its storage says so in an exception, so that is no outage."""
    if answer.status_code in (401, 403):
        return TrackerAway(reason=f"it answered {answer.status_code}")
    return TrackerRefused("MLflow does not find the file.", absent=True)
