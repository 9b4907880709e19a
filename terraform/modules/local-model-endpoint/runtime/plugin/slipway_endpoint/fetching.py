"""The files of a model version, kept in the volume: a version never changes, so a start without MLflow uses them."""

import hashlib
import shutil
from pathlib import Path

COMPLETE = ".complete"


class CannotFetch(Exception):
    """`str()` is the sentence that people read."""


def fetch(name, version, folder):
    """The folder with its MLmodel file. Raises `CannotFetch`."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    place = Path(folder) / "models"
    begins = hashlib.sha256(f"{name}\0{version}".encode()).hexdigest()[:24]
    try:
        found = MlflowClient().get_model_version(name, str(version))
    except MlflowException as error:
        return _kept(place, begins, f"{name} version {version}", error)
    # A model of the same name that was made anew has other times.
    target = place / f"{begins}-{found.creation_timestamp}"
    if not (target / COMPLETE).exists():
        _download(name, version, target)
    for other in place.iterdir():
        if other != target:
            shutil.rmtree(other, ignore_errors=True)
    return target / "files"


def _download(name, version, target):
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    shutil.rmtree(target, ignore_errors=True)
    files = target / "files"
    files.mkdir(parents=True)
    try:
        download_artifacts(artifact_uri=f"models:/{name}/{version}", dst_path=str(files))
    except (MlflowException, OSError) as error:
        raise CannotFetch(f"The files of {name} version {version} could not be fetched: {str(error)[:300]}") from error
    if not (files / "MLmodel").is_file():
        raise CannotFetch(f"{name} version {version} has no MLmodel file: it is not a model that can be served.")
    (target / COMPLETE).touch()


def _kept(place, begins, what, error):
    """What an earlier start left, where MLflow gives no answer; never where it says that there is none."""
    refused = getattr(error, "error_code", "") in ("RESOURCE_DOES_NOT_EXIST", "PERMISSION_DENIED", "UNAUTHENTICATED")
    if not refused:
        for known in sorted(place.glob(f"{begins}-*"), reverse=True):
            if (known / COMPLETE).exists():
                print(f"MLflow does not answer; {what} is loaded from what was fetched before", flush=True)
                return known / "files"
        raise CannotFetch(f"MLflow does not answer, and {what} has not been fetched before: {str(error)[:200]}")
    raise CannotFetch(f"{what} is not there, or belongs to another team than this environment: {str(error)[:200]}")
