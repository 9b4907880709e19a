"""The blocks of a module's Terraform files, read into variables, outputs and requirements."""

from dataclasses import replace
from typing import Any

from apps.catalog.interface.hcl_syntax import Attribute, Block
from apps.catalog.interface.model import Output, Submodule, Validation, Variable
from apps.catalog.interface.problems import Findings, did_you_mean
from apps.catalog.interface.type_constraints import (
    ANY,
    TerraformType,
    TypeConstraintError,
    constant,
    type_from_node,
    value_fit,
)

# What the portal fills in, by reserved variable (docs: the module convention).
_FILLED_IN = {
    "slipway": frozenset(
        {
            "environment_id",
            "name",
            "slug",
            "team",
            "owner",
            "running",
            "app_url",
            "mlflow_tracking_uri",
            "mlflow_experiment",
        }
    ),
    "slipway_secrets": frozenset({"mlflow_tracking_token"}),
    "slipway_runtime": frozenset({"name", "version", "digest", "python", "requirements"}),
}


class Source:
    """The parsed Terraform files of one module."""

    def __init__(self, blocks: list[tuple[str, Block]], findings: Findings) -> None:
        self.blocks = blocks
        self.findings = findings

    def named(self, kind: str) -> list[tuple[str, Block]]:
        return [(file, block) for file, block in self.blocks if block.kind == kind]

    def variables(self) -> list[Variable]:
        found: dict[str, Variable] = {}
        for file, block in self.named("variable"):
            if len(block.labels) != 1 or block.labels[0] in found:
                self.findings.add(file, "declares a variable twice or without a name.", block.line)
                continue
            found[block.labels[0]] = self._variable(file, block)
        return list(found.values())

    def _variable(self, file: str, block: Block) -> Variable:
        name = block.labels[0]
        of = self._type(file, name, block)
        description = self._constant(file, block, "description", str, "")
        if not description.strip():
            cure = "add one sentence, people read it under the field"
            self.findings.advise(file, f"variable “{name}” has no description: {cure}.", block.line)
        has_default, default = self._default(file, name, block, of)
        variable = Variable(
            name=name,
            type=of,
            description=" ".join(description.split()),
            has_default=has_default,
            default=default,
            sensitive=self._constant(file, block, "sensitive", bool, False),
            nullable=self._constant(file, block, "nullable", bool, True),
            ephemeral=self._constant(file, block, "ephemeral", bool, False),
            validations=tuple(self._validation(file, name, rule) for rule in block.named("validation")),
        )
        if variable.reserved:
            self._check_reserved(file, variable, block)
        return variable

    def _type(self, file: str, name: str, block: Block) -> TerraformType:
        attribute = block.attributes.get("type")
        if attribute is None:
            self.findings.advise(file, f"variable “{name}” has no type: add for example `type = string`.", block.line)
            default = block.attributes.get("default")
            return _type_of(default.node[1]) if default is not None and default.node[0] == "lit" else ANY
        try:
            return type_from_node(attribute.node)
        except TypeConstraintError as error:
            self.findings.add(file, f"variable “{name}”: {error}", attribute.line)
            return ANY

    def _default(self, file: str, name: str, block: Block, of: TerraformType) -> tuple[bool, Any]:
        attribute = block.attributes.get("default")
        if attribute is None:
            return False, None
        try:
            value = constant(attribute.node)
        except TypeConstraintError as error:
            self.findings.add(file, f"variable “{name}”: {error}", attribute.line)
            return True, None
        if value is None:
            return True, None
        fitted, problems = value_fit(of, value, lenient=True)
        for problem in problems:
            self.findings.add(file, f"variable “{name}”: the default is no {of}. {problem}", attribute.line)
        return True, fitted

    def _constant(self, file: str, block: Block, key: str, of: type, default: Any) -> Any:
        attribute = block.attributes.get(key)
        if attribute is None:
            return default
        if attribute.node[0] != "lit" or not isinstance(attribute.node[1], of):
            kind = "text" if of is str else "true or false"
            self.findings.add(
                file, f"{block.kind} “{block.labels[0]}”: “{key}” has to be plain {kind}.", attribute.line
            )
            return default
        return attribute.node[1]

    def _validation(self, file: str, name: str, rule: Block) -> Validation:
        missing = Attribute("", ["unsupported", "missing"], "", rule.line)
        condition = rule.attributes.get("condition", missing)
        message = rule.attributes.get("error_message", missing)
        for key, attribute in (("condition", condition), ("error_message", message)):
            if attribute is missing:
                self.findings.add(file, f"variable “{name}”: a validation lacks “{key}”.", rule.line)
        text = str(message.node[1]) if message.node[0] == "lit" else message.text.strip('"')
        return Validation(condition.text, condition.node, text, message.node)

    def _check_reserved(self, file: str, variable: Variable, block: Block) -> None:
        filled = _FILLED_IN[variable.name]
        if variable.type.kind != "object":
            self.findings.add(
                file, f"variable “{variable.name}” is filled in by Slipway: it has to be an object.", block.line
            )
        for name, attribute in variable.type.attributes.items():
            if name not in filled and not attribute.optional:
                hint = did_you_mean(name, filled)
                self.findings.add(file, f"Slipway does not fill in “{variable.name}.{name}”.{hint}", block.line)
        if variable.name == "slipway_secrets" and not variable.sensitive:
            self.findings.add(file, "variable “slipway_secrets” has to say `sensitive = true`.", block.line)

    def outputs(self) -> list[Output]:
        outputs = []
        for file, block in self.named("output"):
            description = self._constant(file, block, "description", str, "")
            if not description.strip():
                self.findings.advise(
                    file, f"output “{block.labels[0]}” has no description: add one sentence.", block.line
                )
            sensitive = self._constant(file, block, "sensitive", bool, False)
            outputs.append(Output(block.labels[0], " ".join(description.split()), sensitive))
        return outputs

    def requirements(self) -> tuple[str, dict[str, dict[str, str]]]:
        """`required_version`, and of every required provider its source and version."""
        version, providers = "", {}
        for file, block in self.named("terraform"):
            version = self._constant(file, replace(block, labels=("terraform",)), "required_version", str, version)
            for kind in ("backend", "cloud"):
                for inner in block.named(kind):
                    self.findings.add(file, f"Slipway keeps the state itself: remove the “{kind}” block.", inner.line)
            for inner in block.named("required_providers"):
                for attribute in inner.attributes.values():
                    providers[attribute.name] = self._provider(file, attribute)
        if not version:
            self.findings.advise(
                "versions.tf", 'lacks “required_version”: add a terraform block with for example ">= 1.9".'
            )
        return version, providers

    def _provider(self, file: str, attribute: Attribute) -> dict[str, str]:
        """Source and version; `configuration_aliases` are references, which only Terraform needs."""
        node = attribute.node
        if node[0] == "lit" and isinstance(node[1], str):
            return {"version": node[1]}
        if node[0] != "object":
            self.findings.add(file, f"required provider “{attribute.name}” has to be plain text.", attribute.line)
            return {}
        said = {key[1]: value[1] for key, value in node[1] if key[0] == "lit" and value[0] == "lit"}
        return {key: str(said[key]) for key in ("source", "version") if key in said}

    def addresses(self) -> set[str]:
        """What the plan of this module can contain, as far as its own files say: resources and calls of modules."""
        resources = {".".join(block.labels) for _, block in self.named("resource")}
        return resources | {f"module.{block.labels[0]}" for _, block in self.named("module") if block.labels}

    def submodules(self) -> tuple[Submodule, ...]:
        found = []
        for file, block in self.named("module"):
            if len(block.labels) != 1 or "source" not in block.attributes:
                self.findings.add(file, "a module block needs one name and a source.", block.line)
                continue
            source = self._constant(file, block, "source", str, "")
            found.append(Submodule(block.labels[0], source, self._constant(file, block, "version", str, "")))
        return tuple(found)

    def check_self_contained(self) -> None:
        for file, block in self.named("module"):
            source = block.attributes.get("source")
            if source is not None and source.node[0] == "lit" and ".." in str(source.node[1]).split("/"):
                self.findings.add(
                    file, "a module may only use what is in its own directory: “..” is not shipped.", source.line
                )


def _type_of(value: Any) -> TerraformType:
    """What people are asked for where only a default says it."""
    kinds = {str: "string", bool: "bool", int: "number", float: "number"}
    return TerraformType(kinds.get(type(value), "any"))
