"""What is read once of a version's files: signature, requirements, input example, sizes and digests.

Only text is read and bytes are hashed. A model is never loaded: that would run what somebody put into it.
"""

import hashlib
import json
import logging
from time import monotonic
from typing import Any

import yaml
from django.db.models import F

from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.registry import gateway, reading
from apps.registry.gateway.files import (
    FilesElsewhere,
    FileTooLarge,
    ModelFile,
    file_digest,
    file_read,
    files_list,
    folder_of,
)
from apps.registry.models import ModelVersion
from apps.registry.signature import signature_data, signature_read

log = logging.getLogger(__name__)

MLMODEL_BYTES = 2 * 1024 * 1024
REQUIREMENTS_BYTES = 256 * 1024
EXAMPLE_BYTES = 64 * 1024
# Hashing goes on no longer than this for one version; a larger one has sizes and no digest.
DIGEST_SECONDS = 15.0
MOST_TRIES = 5


def versions_pending(limit: int = 20) -> list[int]:
    rows = ModelVersion.objects.filter(details=ModelVersion.Details.PENDING, model__gone_at=None)
    return list(rows.order_by("details_tries", "-id").values_list("pk", flat=True)[:limit])


def version_details_read(pk: int) -> None:
    """Read the files of one version and keep what they say. Raises `TrackerAway`; what is wrong is written down."""
    row = ModelVersion.objects.filter(pk=pk).first()
    if row is None:
        return
    values: dict[str, Any] = {}
    try:
        values |= _numbers(row)
        values |= _files(row)
        values |= {"details": ModelVersion.Details.READ, "details_reason": values.pop("reason", "")}
    except (FilesElsewhere, FileTooLarge) as error:
        values |= _unreadable(str(error) or "Its MLmodel file is too large to be read.")
    except TrackerRefused as error:
        values |= _unreadable(f"MLflow does not give its files: {error}"[:300])
    except TrackerAway:
        ModelVersion.objects.filter(pk=pk).update(details_tries=F("details_tries") + 1)
        rows = ModelVersion.objects.filter(pk=pk, details_tries__gte=MOST_TRIES)
        rows.update(**_unreadable("MLflow gave no answer when its files were to be read."))
        raise
    ModelVersion.objects.filter(pk=pk).update(**values)


def _unreadable(reason: str) -> dict[str, Any]:
    return {"details": ModelVersion.Details.UNREADABLE, "details_reason": reading.text(reason, 300)}


def _numbers(row: ModelVersion) -> dict[str, Any]:
    """Metrics and parameters: of the logged model where it has any, else of the run."""
    model = (gateway.logged_model_get(row.logged_model_id) or {}).get("data") or {} if row.logged_model_id else {}
    run = (gateway.run_get(row.run_id) or {}) if row.run_id else {}
    params = reading.params_read(model.get("params")) or reading.params_read((run.get("data") or {}).get("params"))
    return {"metrics": reading.metrics_of_version(model.get("metrics"), run), "params": params}


def _files(row: ModelVersion) -> dict[str, Any]:
    folder = folder_of(gateway.version_storage(row.model_id, row.version))
    listed = files_list(folder)
    paths = {each.path for each in listed}
    if "MLmodel" not in paths:
        raise FilesElsewhere("There is no MLmodel file among its files.")
    said = mlmodel_read(file_read(folder, "MLmodel", limit=MLMODEL_BYTES))
    found = signature_read(said.get("signature"))
    flavors = said.get("flavors")
    flavors = flavors if isinstance(flavors, dict) else {}
    python = flavors.get("python_function")
    python = python if isinstance(python, dict) else {}
    return {
        "signature": signature_data(found) if found else None,
        "flavors": sorted(reading.text(name, 60) for name in flavors)[:50],
        "python": reading.text(python.get("python_version"), 20),
        "requirements": _requirements(folder, paths),
        "example": _example(folder, paths, said),
        **_digests(folder, listed),
    }


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them can stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not read", self.peek_event().start_mark)
        return super().compose_node(parent, index)


def mlmodel_read(content: bytes) -> dict[str, Any]:
    """The mapping in an MLmodel file. Raises `FilesElsewhere` for what is none."""
    try:
        data = yaml.load(content.decode("utf-8", "replace"), Loader=_PlainLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise FilesElsewhere("Its MLmodel file cannot be read.")
    return data


def _requirements(folder: str, paths: set[str]) -> list[str]:
    if "requirements.txt" not in paths:
        return []
    try:
        content = file_read(folder, "requirements.txt", limit=REQUIREMENTS_BYTES)
    except FileTooLarge:
        return []
    lines = (line.strip() for line in reading.text(content.decode("utf-8", "replace")).splitlines())
    return [line[:300] for line in lines if line and not line.startswith("#")][:1000]


def _example(folder: str, paths: set[str], said: dict[str, Any]) -> Any:
    """The input as it is sent to a server; MLflow writes it beside the example itself."""
    info = said.get("saved_input_example_info")
    named = info.get("serving_input_path") if isinstance(info, dict) else None
    path = next((each for each in (named, "serving_input_example.json") if each in paths), None)
    if path is None:
        return None
    try:
        content = file_read(folder, str(path), limit=EXAMPLE_BYTES)
        return reading.plain(json.loads(content.decode("utf-8", "replace"), parse_constant=str))
    except (FileTooLarge, ValueError, RecursionError):
        return None


def _digests(folder: str, listed: list[ModelFile]) -> dict[str, Any]:
    """Each file's SHA-256, and one over all: of the lines that sha256sum prints, in the order of the paths."""
    until, reason = monotonic() + DIGEST_SECONDS, ""
    files: list[dict[str, Any]] = []
    try:
        for each in listed:
            digest, size = file_digest(folder, each.path, until=until)
            files.append({"path": each.path, "size": size, "sha256": digest})
    except TimeoutError:
        reason = "Its files are too large to be hashed here; the sizes are MLflow's."
        files = [{"path": each.path, "size": each.size, "sha256": ""} for each in listed]
    lines = "".join(f"{each['sha256']}  {each['path']}\n" for each in files)
    return {
        "files": files,
        "size_bytes": sum(int(each["size"] or 0) for each in files),
        "digest": "" if reason or not files else hashlib.sha256(lines.encode()).hexdigest(),
        "reason": reason,
    }
