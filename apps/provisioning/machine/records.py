"""What is known of a service: service.json, one file per service, written by the agent alone."""

import secrets
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .files import json_read, json_write
from .layout import Layout


def secret_new() -> str:
    """43 characters that open one service until it is started by another request."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class ServiceSpec:
    """What a caller wants of a service. `memory_mb` is MiB, `cpu` counts cores, None means no limit."""

    command: list[str]
    volume: str
    runtime: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    secret_environment: dict[str, str] = field(default_factory=dict)
    running: bool = True
    cpu: float | None = None
    memory_mb: int | None = None
    health_path: str | None = None
    health_timeout_s: int = 120
    app_port: int | None = None
    gpus: int = 0

    def process(self) -> dict[str, Any]:
        """The part that needs a new process when it changes."""
        found = asdict(self)
        for name in ("running", "health_timeout_s", "health_path", "cpu", "memory_mb"):
            found.pop(name)
        return found


@dataclass
class ServiceRecord:
    """The desired state of a service and what must stay the same over its life.

    `suspended` is the reason for which the whole machine stopped its services; `spec.running` stays what was wanted.
    `failed` ({status, reason}) is set where the last start was given up; `gpus` are the indexes of the devices that it
    has to itself from its start to its stop; `healthy_run` is [generation, restarts] of the
    run that answered last.
    """

    workspace_id: str
    name: str
    spec: ServiceSpec
    secret: str = field(default_factory=secret_new)
    port: int = 0
    generation: int = 0
    suspended: str | None = None
    stop_reason: str = ""
    failed: dict[str, str] | None = None
    gpus: list[int] = field(default_factory=list)
    healthy_run: list[int] = field(default_factory=list)
    created_at: float = field(default_factory=time.time)

    @property
    def wanted(self) -> bool:
        return self.spec.running and self.suspended is None


def record_load(directory: Path) -> ServiceRecord | None:
    value = json_read(directory / "service.json")
    if not value:
        return None
    known = {entry.name for entry in fields(ServiceSpec)}
    spec = ServiceSpec(**{key: item for key, item in value.pop("spec").items() if key in known})
    known = {entry.name for entry in fields(ServiceRecord)}
    return ServiceRecord(spec=spec, **{key: item for key, item in value.items() if key in known})


def record_save(layout: Layout, record: ServiceRecord) -> None:
    json_write(layout.service(record.workspace_id, record.name) / "service.json", asdict(record))
