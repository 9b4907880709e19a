"""Request bodies of the socket API: checked completely, unknown fields refused, all problems told at once."""

import re
from typing import Any

from .errors import InvalidRequest
from .records import ServiceSpec
from .runtimes import RuntimeSpec, path_is_inside
from .volumes import VolumeSpec

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class _Fields:
    """Reads typed fields from a JSON object and collects what is wrong."""

    def __init__(self, body: Any, allowed: set[str]) -> None:
        if not isinstance(body, dict):
            raise InvalidRequest("The body must be a JSON object.")
        self.body = body
        self.problems = [f"{name}: unknown field" for name in sorted(set(body) - allowed)]

    def text(self, name: str, *, required: bool = False, limit: int = 4096) -> str | None:
        value = self.body.get(name)
        if value is None and not required:
            return None
        if not isinstance(value, str) or not value or len(value) > limit or "\0" in value:
            self.problems.append(f"{name}: a text of 1 to {limit} characters is needed")
            return None
        return value

    def number(self, name: str, low: float, high: float, *, whole: bool) -> Any:
        value = self.body.get(name)
        if value is None:
            return None
        kinds = (int,) if whole else (int, float)
        if whole and isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            self.problems.append(f"{name}: a {'whole ' if whole else ''}number from {low:g} to {high:g} is needed")
            return None
        return value

    def texts(self, name: str, *, variables: bool = False, limit: int = 131_072) -> dict[str, str]:
        value = self.body.get(name)
        if value is None:
            return {}
        good = isinstance(value, dict) and all(
            isinstance(key, str) and isinstance(item, str) and len(item) <= limit for key, item in value.items()
        )
        if good and variables:
            good = all(_VARIABLE.match(key) and "\0" not in item for key, item in value.items())
        if not good:
            self.problems.append(f"{name}: an object of texts is needed{' with variable names' if variables else ''}")
            return {}
        return dict(value)

    def done(self) -> None:
        if self.problems:
            raise InvalidRequest("; ".join(self.problems) + ".")


def volume_spec(body: Any) -> VolumeSpec:
    fields = _Fields(body, {"size_limit_mb", "repository", "revision", "files"})
    spec = VolumeSpec(
        size_limit_mb=fields.number("size_limit_mb", 1, 1e9, whole=True),
        repository=fields.text("repository") if fields.body.get("repository") else None,
        revision=fields.text("revision", limit=200) if fields.body.get("revision") else None,
        files=fields.texts("files", limit=1 << 20),
    )
    fields.done()
    return spec


def runtime_spec(body: Any) -> RuntimeSpec:
    fields = _Fields(body, {"requirements", "python", "files"})
    if not isinstance(fields.body.get("requirements"), str):
        fields.problems.append("requirements: the text of a lock file is needed")
    python = fields.text("python", limit=20) if fields.body.get("python") else None
    files = fields.texts("files", limit=1 << 20)
    fields.problems += [
        f"files: {name!r} is not a path inside site-packages" for name in files if not path_is_inside(name)
    ]
    fields.done()
    return RuntimeSpec(str(fields.body["requirements"]), python, files)


def service_spec(body: Any) -> ServiceSpec:
    fields = _Fields(body, set(ServiceSpec.__dataclass_fields__))
    command = fields.body.get("command")
    if (
        not isinstance(command, list)
        or not command
        or not all(isinstance(part, str) and "\0" not in part and len(part) <= 131_072 for part in command)
        or not command[0]
    ):
        fields.problems.append("command: a list of texts is needed")
    elif any("{secret}" in part for part in command):
        fields.problems.append(
            "command: {secret} would stand in the process list for all to read; give it in secret_environment"
        )
    running = fields.body.get("running", True)
    if not isinstance(running, bool):
        fields.problems.append("running: true or false is needed")
    path = fields.text("health_path", limit=1000) if fields.body.get("health_path") else None
    if path and (not path.startswith("/") or not path.isascii() or any(not 32 < ord(letter) < 127 for letter in path)):
        fields.problems.append("health_path: a path that begins with / is needed")
    found: dict[str, Any] = {
        "volume": fields.text("volume", required=True, limit=200),
        "runtime": fields.text("runtime", limit=64) if fields.body.get("runtime") else None,
        "environment": fields.texts("environment", variables=True),
        "secret_environment": fields.texts("secret_environment", variables=True),
        "cpu": fields.number("cpu", 0.05, 4096, whole=False),
        "memory_mb": fields.number("memory_mb", 16, 1e8, whole=True),
        "health_timeout_s": fields.number("health_timeout_s", 1, 3600, whole=True) or 120,
        "app_port": fields.number("app_port", 1024, 65_535, whole=True),
        "gpus": fields.number("gpus", 0, 64, whole=True) or 0,
    }
    fields.done()
    return ServiceSpec(command=command or [], running=running, health_path=path, **found)
