"""Python environments made without an agent."""

from collections.abc import Callable

from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.services import (
    runtime_create,
    runtime_version_create,
    runtime_version_failed,
    runtime_version_locked,
    runtime_version_ready,
)
from tests.factories import People

MakeReady = Callable[..., RuntimeVersion]

LOCK = """--only-binary :all:

idna==3.10 \\
    --hash=sha256:00
    # via -r requirements.in
six==1.17.0 \\
    --hash=sha256:11
winkerberos==1.0 ; sys_platform == 'win32' \\
    --hash=sha256:22
"""
# What a notebook needs, as far as the choice is concerned.
NOTEBOOK_LOCK = LOCK + "".join(f"{name}==1.0 \\\n    --hash=sha256:33\n" for name in ("ipykernel", "jupyterlab"))
NOTEBOOK_LOCK += "mlflow-skinny==3.0 \\\n    --hash=sha256:44\n"


def version_ready(
    people: People, slug: str = "ml", lock: str = NOTEBOOK_LOCK, requirements: str = "six\n"
) -> RuntimeVersion:
    """Locked and built; the next version where the runtime is there."""
    runtime = Runtime.objects.filter(slug=slug).first()
    if runtime is None:
        version = runtime_create(actor=people.pete, slug=slug, title=slug.upper(), requirements=requirements)
    else:
        version = runtime_version_create(runtime=runtime, actor=people.pete, requirements=requirements, force=True)
    runtime_version_locked(version_id=version.pk, lock=lock)
    runtime_version_ready(version_id=version.pk, size_bytes=5_000_000)
    return RuntimeVersion.objects.select_related("runtime").get(pk=version.pk)


def version_failed(people: People) -> RuntimeVersion:
    version = runtime_create(actor=people.pete, slug="broken", title="Broken", requirements="nothing-like-this\n")
    runtime_version_failed(version_id=version.pk, status="locking", reason="No such package.", log="error: no")
    return RuntimeVersion.objects.select_related("runtime").get(pk=version.pk)
