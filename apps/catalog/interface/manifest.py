"""module.yaml: what HCL cannot say about a module, read strictly so that a slip is named and not ignored."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from apps.catalog.interface.model import Application, Connection, Option, Presentation, Preset, TimeToLive
from apps.catalog.interface.problems import Findings, did_you_mean

FILE = "module.yaml"
KINDS = ("notebook", "cluster", "endpoint", "job")
TARGETS = ("local", "aws", "azure", "gcp", "kubernetes")
GROUPS = ("basic", "more")
WIDGETS = ("text", "textarea", "repository", "secret", "select", "radio", "gpu")
AUTHS = ("none", "authorization-token", "bearer")
IDLE_PROBES = ("", "none", "jupyter", "dask")
MAX_BYTES = 64 * 1024

_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_DURATION = re.compile(r"(\d{1,4})\s*(m|h|d)", re.ASCII)
# What a module may ask for at most.
MOST_MINUTES = {"plan_minutes": 4 * 60, "apply_minutes": 24 * 60}
_UNIT_SECONDS = {"m": 60, "h": 3600, "d": 86400}


@dataclass
class Manifest:
    """The content of module.yaml, checked by itself; the parser holds it against variables, outputs and resources."""

    title: str = ""
    version: str = ""
    kind: str = ""
    target: str = ""
    icon: str = ""
    summary: str = ""
    ttl: TimeToLive = field(default_factory=lambda: TimeToLive(0, 0))
    presets: tuple[Preset, ...] = ()
    default_preset: str = ""
    applications: tuple[Application, ...] = ()
    inputs: dict[str, Presentation] = field(default_factory=dict)
    resource_labels: dict[str, str] = field(default_factory=dict)
    files_lost_on_destroy: bool = False
    lost_on_stop: str = ""
    runtimes: tuple[str, ...] = ()
    runtime_packages: tuple[str, ...] = ()
    connect: Connection | None = None
    takeover: dict[str, str] = field(default_factory=dict)
    data_resources: tuple[str, ...] = ()
    limits: dict[str, int] = field(default_factory=dict)
    needs_variables: tuple[str, ...] | None = None
    examples: dict[str, Any] = field(default_factory=dict)


def manifest_read(text: str, findings: Findings) -> Manifest | None:
    """Read module.yaml; what is wrong goes to `findings`. None when nothing can be made of it."""
    if len(text.encode()) > MAX_BYTES:
        findings.add(FILE, f"is larger than {MAX_BYTES // 1024} KB.")
        return None
    try:
        data = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader that also refuses repeated keys
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "it cannot be read"
        findings.add(FILE, f"is not valid YAML: {reason}.", mark.line + 1 if mark else None)
        return None
    except (RecursionError, ValueError):
        findings.add(FILE, "is not valid YAML: it cannot be read.")
        return None
    if not isinstance(data, dict):
        findings.add(FILE, "has to be a mapping with title, version, kind, target, summary and ttl.")
        return None
    return _Reader(findings).manifest(data)


class _StrictLoader(yaml.SafeLoader):
    """YAML without repeated keys and without aliases, which a file of this size does not need."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(
                None, None, "aliases are not supported here", self.peek_event().start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key_node, _ in node.value:
            if keys.count(key_node.value) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"“{key_node.value}” appears twice", key_node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


class _Reader:
    """Picks typed values out of the YAML data."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def manifest(self, data: dict[str, Any]) -> Manifest:
        self._known(data, Manifest.__dataclass_fields__, "")
        manifest = Manifest(
            title=self._text(data, "title", "", longest=80, required=True),
            version=self._version(data),
            kind=self._choice(data, "kind", "", KINDS, required=True),
            target=self._choice(data, "target", "", TARGETS, required=True),
            icon=self._pattern(data, "icon", "", _NAME, "a short name such as “notebook”", required=False),
            summary=self._text(data, "summary", "", longest=300, required=True),
            ttl=self._ttl(data),
            presets=tuple(self._preset(name, item) for name, item in self._named(data, "presets")),
            default_preset=self._text(data, "default_preset", "", longest=40),
            applications=tuple(self._applications(data)),
            inputs={name: self._presentation(name, item) for name, item in self._named(data, "inputs")},
            resource_labels=self._labels(data),
            files_lost_on_destroy=self._flag(data, "files_lost_on_destroy", "", default=False),
            lost_on_stop=self._text(data, "lost_on_stop", "", longest=300),
            runtimes=self._names(data, "runtimes"),
            runtime_packages=self._names(data, "runtime_packages"),
            connect=self._connect(data),
            takeover=self._sentences(data, "takeover"),
            data_resources=self._names(data, "data_resources"),
            limits=self._limits(data),
            needs_variables=None if data.get("needs_variables") is None else self._names(data, "needs_variables"),
            examples=dict(self._mapping(data.get("examples"), "examples")),
        )
        self._check_default_preset(manifest)
        return manifest

    def _say(self, message: str) -> None:
        self.findings.add(FILE, message)

    def _known(self, data: dict[str, Any], known: Iterable[str], where: str) -> None:
        known = set(known)
        for key in data:
            if key not in known:
                self._say(f"has an unknown key “{where}{key}”.{did_you_mean(key, known)}")

    def _text(self, data: dict[str, Any], key: str, where: str, *, longest: int, required: bool = False) -> str:
        value = data.get(key)
        if value is None or value == "":
            if required:
                self._say(f"lacks “{where}{key}”: add it.")
            return ""
        if not isinstance(value, str):
            self._say(f"“{where}{key}” has to be text: put it in quotes.")
            return ""
        if len(value) > longest:
            self._say(f"“{where}{key}” is longer than {longest} characters.")
        return value.strip()

    def _pattern(
        self, data: dict[str, Any], key: str, where: str, pattern: re.Pattern[str], what: str, *, required: bool
    ) -> str:
        value = self._text(data, key, where, longest=200, required=required)
        if value and not pattern.fullmatch(value):
            self._say(f"“{where}{key}” has to be {what}.")
        return value

    def _choice(
        self, data: dict[str, Any], key: str, where: str, known: tuple[str, ...], *, required: bool = False
    ) -> str:
        value = self._text(data, key, where, longest=40, required=required)
        if value and value not in known:
            self._say(f"“{where}{key}” cannot be “{value}”. Known: {', '.join(item for item in known if item)}.")
        return value

    def _flag(self, data: dict[str, Any], key: str, where: str, *, default: bool) -> bool:
        value = data.get(key, default)
        if not isinstance(value, bool):
            self._say(f"“{where}{key}” has to be true or false.")
            return default
        return value

    def _limits(self, data: dict[str, Any]) -> dict[str, int]:
        """Minutes that a plan or an apply of this module may take, where the portal's own bound is too short."""
        given = self._mapping(data.get("limits"), "limits")
        self._known(given, MOST_MINUTES, "limits.")
        for name, most in MOST_MINUTES.items():
            value = given.get(name, 1)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                self._say(f"“limits.{name}” has to be a whole number of minutes from 1 to {most}.")
        return {name: value for name, value in given.items() if name in MOST_MINUTES and isinstance(value, int)}

    def _mapping(self, value: Any, where: str) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            self._say(f"“{where}” has to be a mapping of names.")
            return {}
        return value

    def _named(self, data: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
        items = self._mapping(data.get(key), key)
        return [(name, self._mapping(item, f"{key}.{name}")) for name, item in items.items()]

    def _version(self, data: dict[str, Any]) -> str:
        return self._pattern(data, "version", "", _SEMVER, "a semantic version such as 1.0.0", required=True)

    def _ttl(self, data: dict[str, Any]) -> TimeToLive:
        given = self._mapping(data.get("ttl"), "ttl")
        if not given:
            self._say("lacks “ttl”: add for example ttl: {default: 8h, maximum: 7d}.")
            return TimeToLive(0, 0)
        self._known(given, {"default", "maximum"}, "ttl.")
        ttl = TimeToLive(self._seconds(given, "default"), self._seconds(given, "maximum"))
        if ttl.default_s > ttl.maximum_s > 0:
            self._say("“ttl.default” is longer than “ttl.maximum”.")
        return ttl

    def _seconds(self, ttl: dict[str, Any], key: str) -> int:
        match = _DURATION.fullmatch(str(ttl.get(key, "")))
        if match is None or int(match[1]) == 0:
            self._say(f"“ttl.{key}” has to be a time such as 30m, 8h or 7d.")
            return 0
        return int(match[1]) * _UNIT_SECONDS[match[2]]

    def _preset(self, name: str, given: dict[str, Any]) -> Preset:
        where = f"presets.{name}."
        if not _NAME.fullmatch(name):
            self._say(f"“presets.{name}”: a name consists of lower-case letters, digits and hyphens.")
        self._known(given, {"title", "inputs"}, where)
        title = self._text(given, "title", where, longest=80) or name.capitalize()
        return Preset(name, title, dict(self._mapping(given.get("inputs"), f"{where}inputs")))

    def _check_default_preset(self, manifest: Manifest) -> None:
        names = [preset.name for preset in manifest.presets]
        if names and not manifest.default_preset:
            manifest.default_preset = names[0]
        elif manifest.default_preset and manifest.default_preset not in names:
            hint = did_you_mean(manifest.default_preset, names)
            self._say(f"“default_preset” names “{manifest.default_preset}”, which is not among the presets.{hint}")

    def _presentation(self, name: str, given: dict[str, Any]) -> Presentation:
        where = f"inputs.{name}."
        self._known(given, Presentation.__dataclass_fields__, where)
        return Presentation(
            label=self._text(given, "label", where, longest=60),
            group=self._choice(given, "group", where, GROUPS) or "more",
            widget=self._choice(given, "widget", where, WIDGETS),
            options=self._options(given.get("options"), where),
            hidden=self._flag(given, "hidden", where, default=False),
        )

    def _options(self, given: Any, where: str) -> tuple[Option, ...]:
        if given is None:
            return ()
        if not isinstance(given, list) or not given:
            self._say(f"“{where}options” has to be a list of values, or of value and label.")
            return ()
        return tuple(option for item in given if (option := self._option(item, where)) is not None)

    def _option(self, item: Any, where: str) -> Option | None:
        if isinstance(item, dict):
            self._known(item, {"value", "label"}, f"{where}options.")
            value, label = item.get("value"), item.get("label")
        else:
            value, label = item, None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self._say(f"“{where}options”: a choice is text or a number.")
            return None
        return Option(value, str(label) if label is not None else str(value))

    def _applications(self, data: dict[str, Any]) -> Iterable[Application]:
        given = data.get("applications") or []
        if not isinstance(given, list):
            self._say("“applications” has to be a list.")
            return
        names: set[str] = set()
        for position, item in enumerate(given):
            application = self._application(
                self._mapping(item, f"applications[{position}]"), f"applications[{position}]."
            )
            if application.name in names:
                self._say(f"“applications” has two of the name “{application.name}”.")
            names.add(application.name)
            yield application

    def _application(self, given: dict[str, Any], where: str) -> Application:
        self._known(given, Application.__dataclass_fields__, where)
        text: Callable[..., str] = self._text
        path = text(given, "path", where, longest=200) or "/"
        health = text(given, "health", where, longest=200)
        for key, value in (("path", path), ("health", health)):
            if value and not value.startswith("/"):
                self._say(f"“{where}{key}” has to start with “/”.")
        name = self._pattern(given, "name", where, _NAME, "lower-case letters, digits and hyphens", required=True)
        return Application(
            name=name,
            title=text(given, "title", where, longest=60) or name.capitalize(),
            address_output=text(given, "address_output", where, longest=80, required=True),
            secret_output=text(given, "secret_output", where, longest=80),
            path=path,
            auth=self._choice(given, "auth", where, AUTHS) or "none",
            health=health,
            idle_probe=self._choice(given, "idle_probe", where, IDLE_PROBES),
            external=self._flag(given, "external", where, default=False),
        )

    def _connect(self, data: dict[str, Any]) -> Connection | None:
        if data.get("connect") is None:
            return None
        given = self._mapping(data["connect"], "connect")
        self._known(given, Connection.__dataclass_fields__, "connect.")
        return Connection(
            kind=self._pattern(given, "kind", "connect.", _NAME, "a short name such as “dask”", required=True),
            snippet=self._text(given, "snippet", "connect.", longest=2_000, required=True),
        )

    def _names(self, data: dict[str, Any], key: str) -> tuple[str, ...]:
        given = data.get(key)
        if given is None:
            return ()
        if not isinstance(given, list) or not all(isinstance(item, str) and 0 < len(item) <= 200 for item in given):
            self._say(f"“{key}” has to be a list of names.")
            return ()
        return tuple(given)

    def _labels(self, data: dict[str, Any]) -> dict[str, str]:
        return self._sentences(data, "resource_labels", longest=60)

    def _sentences(self, data: dict[str, Any], key: str, *, longest: int = 300) -> dict[str, str]:
        given = self._mapping(data.get(key), key)
        return {name: self._text(given, name, f"{key}.", longest=longest, required=True) for name in given}
