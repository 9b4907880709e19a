"""What the portal knows of a module version: plain data, stored as JSON and read back by forms, API and pages."""

from dataclasses import asdict, dataclass, field
from typing import Any

from apps.catalog.interface.hcl_syntax import Node
from apps.catalog.interface.type_constraints import TerraformType

# Filled in by the portal when a module declares them; never asked of people.
RESERVED_VARIABLES = frozenset({"slipway", "slipway_secrets", "slipway_runtime"})

SCHEMA = 1


@dataclass(frozen=True)
class Validation:
    """A `validation` block: the rule as written and parsed, and the sentence people read when it does not hold."""

    condition: str
    condition_node: Node
    error_message: str
    error_message_node: Node

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Option:
    """One choice of an input with a fixed set of them."""

    value: Any
    label: str


@dataclass(frozen=True)
class Presentation:
    """How an input looks in the form: what module.yaml says under `inputs`."""

    label: str = ""
    group: str = "more"
    widget: str = ""
    options: tuple[Option, ...] = ()
    hidden: bool = False


@dataclass(frozen=True)
class Variable:
    """An input of the module. `default` counts only where `has_default`; a null default means optional."""

    name: str
    type: TerraformType
    description: str = ""
    has_default: bool = False
    default: Any = None
    sensitive: bool = False
    nullable: bool = True
    ephemeral: bool = False
    validations: tuple[Validation, ...] = ()
    presentation: Presentation = field(default_factory=Presentation)

    @property
    def reserved(self) -> bool:
        return self.name in RESERVED_VARIABLES

    @property
    def required(self) -> bool:
        return not self.has_default

    @property
    def label(self) -> str:
        return self.presentation.label or self.name.replace("_", " ").strip().capitalize()

    def to_json(self) -> dict[str, Any]:
        data = {**vars(self), "type": self.type.to_json(), "presentation": asdict(self.presentation)}
        data["validations"] = [validation.to_json() for validation in self.validations]
        data["presentation"]["options"] = [asdict(option) for option in self.presentation.options]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Variable":
        presentation = dict(data["presentation"])
        presentation["options"] = tuple(Option(**option) for option in presentation["options"])
        return cls(
            **{
                **data,
                "type": TerraformType.from_json(data["type"]),
                "validations": tuple(Validation(**validation) for validation in data["validations"]),
                "presentation": Presentation(**presentation),
            }
        )


@dataclass(frozen=True)
class Output:
    """An output of the module; the value of a sensitive one is never shown."""

    name: str
    description: str = ""
    sensitive: bool = False


@dataclass(frozen=True)
class Preset:
    """A named size: values for some of the inputs."""

    name: str
    title: str
    inputs: dict[str, Any]


@dataclass(frozen=True)
class TimeToLive:
    """After how many seconds an environment stops, unless someone chooses otherwise or extends it."""

    default_s: int
    maximum_s: int


@dataclass(frozen=True)
class Application:
    """A web application of the environment and how the portal's proxy reaches it."""

    name: str
    title: str
    address_output: str
    secret_output: str = ""
    path: str = "/"
    auth: str = "none"
    health: str = ""
    idle_probe: str = ""
    # Opened at its own address, which people sign in to there, and not through the portal's proxy.
    external: bool = False


@dataclass(frozen=True)
class Connection:
    """How a notebook reaches a cluster: the kind of client ("dask") and the lines to paste."""

    kind: str
    snippet: str


@dataclass(frozen=True)
class Submodule:
    """A call of another module. `source` is as written: `./modules/network`, or an address of a registry."""

    name: str
    source: str
    version: str = ""


@dataclass(frozen=True)
class ModuleInterface:
    """Everything about a module version that the portal needs after registration, without the module's files."""

    slug: str
    title: str
    version: str
    kind: str
    target: str
    icon: str
    summary: str
    readme: str
    ttl: TimeToLive
    presets: tuple[Preset, ...]
    default_preset: str
    applications: tuple[Application, ...]
    resource_labels: dict[str, str]
    files_lost_on_destroy: bool
    variables: tuple[Variable, ...]
    outputs: tuple[Output, ...]
    required_version: str
    required_providers: dict[str, dict[str, str]]
    submodules: tuple[Submodule, ...] = ()
    lost_on_stop: str = ""
    runtimes: tuple[str, ...] = ()
    # Packages that a chosen Python environment has to hold for the module to work in it.
    runtime_packages: tuple[str, ...] = ()
    connect: Connection | None = None
    takeover: dict[str, str] = field(default_factory=dict)
    data_resources: tuple[str, ...] = ()
    # `plan_minutes` and `apply_minutes`, where the module needs longer than the portal allows.
    limits: dict[str, int] = field(default_factory=dict)
    # What variable sets have to give before it is launched; None: the credentials of its target, () nothing.
    needs_variables: tuple[str, ...] | None = None
    examples: dict[str, Any] = field(default_factory=dict)
    # What its author could do better; none of it keeps the module from being used.
    advice: tuple[str, ...] = ()

    def variable(self, name: str) -> Variable | None:
        return next((variable for variable in self.variables if variable.name == name), None)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """The variables that people may set, in the order in which the form asks for them."""
        return tuple(item for item in self.variables if not item.reserved and not item.presentation.hidden)

    @property
    def reserved(self) -> frozenset[str]:
        """Which of the portal-filled variables the module declares."""
        return frozenset(variable.name for variable in self.variables if variable.reserved)

    def preset(self, name: str | None = None) -> Preset | None:
        """The preset of that name, the default one without a name; None where there is no such preset."""
        wanted = name or self.default_preset
        return next((preset for preset in self.presets if preset.name == wanted), None)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; `from_json` gives back an equal interface."""
        data = {**vars(self), "schema": SCHEMA, "ttl": asdict(self.ttl)}
        for name in ("presets", "applications", "outputs", "submodules"):
            data[name] = [asdict(item) for item in getattr(self, name)]
        data["variables"] = [variable.to_json() for variable in self.variables]
        data["connect"] = asdict(self.connect) if self.connect else None
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ModuleInterface":
        """Reads versions of before a field was added as well. Raises `ValueError` for a schema of the future."""
        values = dict(data)
        schema = values.pop("schema")
        if schema != SCHEMA:
            raise ValueError(f"This module interface has schema {schema}; this Slipway reads schema {SCHEMA}.")
        return cls(
            **{
                **values,
                "ttl": TimeToLive(**data["ttl"]),
                "presets": tuple(Preset(**preset) for preset in data["presets"]),
                "applications": tuple(Application(**application) for application in data["applications"]),
                "variables": tuple(Variable.from_json(variable) for variable in data["variables"]),
                "outputs": tuple(Output(**output) for output in data["outputs"]),
                "submodules": tuple(Submodule(**submodule) for submodule in data.get("submodules", ())),
                "connect": Connection(**data["connect"]) if data.get("connect") else None,
                "needs_variables": None if (needs := data.get("needs_variables")) is None else tuple(needs),
                **{
                    name: tuple(data.get(name, ()))
                    for name in ("runtimes", "runtime_packages", "data_resources", "advice")
                },
            }
        )
