"""A module directory read into a `ModuleInterface`; everything that is wrong with it is reported at once."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.catalog.interface.files import module_files
from apps.catalog.interface.hcl_syntax import Attribute, Block, HclSyntaxError, hcl_parse
from apps.catalog.interface.inputs import inputs_clean
from apps.catalog.interface.manifest import FILE as MANIFEST
from apps.catalog.interface.manifest import Manifest, manifest_read
from apps.catalog.interface.model import ModuleInterface, Output, Presentation, Validation, Variable
from apps.catalog.interface.problems import Findings, did_you_mean
from apps.catalog.interface.type_constraints import (
    ANY,
    TerraformType,
    TypeConstraintError,
    constant,
    type_from_node,
    value_fit,
)

_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
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
}
_MAX_FILE = 1024 * 1024


def module_parse(path: Path) -> ModuleInterface:
    """The interface of the module in `path`. Raises `ModuleInvalid` with every problem found."""
    path = Path(path).resolve()
    findings = Findings()
    names = {file.relative_to(path).as_posix() for file in module_files(path)}
    if not _SLUG.fullmatch(path.name) or len(path.name) > 60:
        findings.add(path.name, "a module's directory is named in lower-case letters, digits and single hyphens.")
    readme = _text(path, "README.md", names, "describe the module there for the people who use it.", findings)
    manifest_text = _text(path, MANIFEST, names, "add it with title, version, kind, target, summary and ttl.", findings)
    manifest = manifest_read(manifest_text, findings) if manifest_text else None
    blocks = _blocks(path, names, findings)
    source = _Source(blocks, findings)
    variables, outputs = source.variables(), source.outputs()
    required_version, required_providers = source.requirements()
    source.check_self_contained()
    if manifest is None:
        findings.raise_if_any()
        raise AssertionError("module.yaml is missing without a finding")
    variables = _presented(manifest, variables, findings)
    _check_applications(manifest, outputs, findings)
    _check_labels(manifest, source.addresses(), findings)
    interface = ModuleInterface(
        slug=path.name,
        title=manifest.title,
        version=manifest.version,
        kind=manifest.kind,
        target=manifest.target,
        icon=manifest.icon,
        summary=manifest.summary,
        readme=readme,
        ttl=manifest.ttl,
        presets=manifest.presets,
        default_preset=manifest.default_preset,
        applications=manifest.applications,
        resource_labels=manifest.resource_labels,
        files_lost_on_destroy=manifest.files_lost_on_destroy,
        variables=tuple(variables),
        outputs=tuple(outputs),
        required_version=required_version,
        required_providers=required_providers,
    )
    _check_values(interface, findings)
    findings.raise_if_any()
    return interface


def _text(path: Path, name: str, names: set[str], cure: str, findings: Findings) -> str:
    if name not in names:
        findings.add(name, f"is missing: {cure}")
        return ""
    file = path / name
    if file.stat().st_size > _MAX_FILE:
        findings.add(name, f"is larger than {_MAX_FILE // 1024} KB.")
        return ""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        findings.add(name, "cannot be read as UTF-8 text.")
        return ""
    if not text.strip():
        findings.add(name, f"is empty: {cure}")
    return text


def _blocks(path: Path, names: set[str], findings: Findings) -> list[tuple[str, Block]]:
    """The top-level blocks of the root module, each with the file it is in."""
    root = sorted(name for name in names if "/" not in name)
    # Inputs are asked for in the order of declaration, beginning with the file that is meant for them.
    terraform = sorted((name for name in root if name.endswith(".tf")), key=lambda name: (name != "variables.tf", name))
    for name in root:
        if name == "override.tf" or name.endswith((".tf.json", ".tofu", "_override.tf")):
            findings.add(name, "is not supported: write plain .tf files without overrides.")
        elif name == "terraform.tfvars" or name.endswith((".auto.tfvars", ".tfvars.json")):
            findings.add(name, "would override what people choose: use defaults and presets instead.")
    if not terraform:
        findings.add("main.tf", "is missing: the directory holds no Terraform files.")
    blocks = []
    for name in terraform:
        text = _text(path, name, names, "remove it or write the configuration.", findings)
        try:
            blocks += [(name, block) for block in hcl_parse(text).blocks]
        except HclSyntaxError as error:
            findings.add(name, f"{error}; `terraform validate` says more.", error.line)
    return blocks


class _Source:
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
            self.findings.add(file, f"variable “{name}” has no description: {cure}.", block.line)
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
            self.findings.add(file, f"variable “{name}” has no type: add for example `type = string`.", block.line)
            return ANY
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
                self.findings.add(file, f"output “{block.labels[0]}” has no description: add one sentence.", block.line)
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
            self.findings.add(
                "versions.tf", 'lacks “required_version”: add a terraform block with for example ">= 1.9".'
            )
        return version, providers

    def _provider(self, file: str, attribute: Attribute) -> dict[str, str]:
        try:
            value = constant(attribute.node)
        except TypeConstraintError:
            value = None
        if isinstance(value, str):
            value = {"version": value}
        if not isinstance(value, dict):
            self.findings.add(file, f"required provider “{attribute.name}” has to be plain text.", attribute.line)
            return {}
        return {key: str(value[key]) for key in ("source", "version") if key in value}

    def addresses(self) -> set[str]:
        """What the plan of this module can contain, as far as its own files say: resources and calls of modules."""
        resources = {".".join(block.labels) for _, block in self.named("resource")}
        return resources | {f"module.{block.labels[0]}" for _, block in self.named("module") if block.labels}

    def check_self_contained(self) -> None:
        for file, block in self.named("module"):
            source = block.attributes.get("source")
            if source is not None and source.node[0] == "lit" and ".." in str(source.node[1]).split("/"):
                self.findings.add(
                    file, "a module may only use what is in its own directory: “..” is not shipped.", source.line
                )


def _presented(manifest: Manifest, variables: list[Variable], findings: Findings) -> list[Variable]:
    """The variables with their presentation, in the order of the form: as in module.yaml, the rest as declared."""
    known = [variable.name for variable in variables if not variable.reserved]
    for name in manifest.inputs:
        if name not in known:
            findings.add(MANIFEST, f"“inputs.{name}”: there is no such variable.{did_you_mean(name, known)}")
    presented = []
    for variable in variables:
        group = "basic" if variable.required else "more"
        presentation = manifest.inputs.get(variable.name, Presentation(group=group))
        if presentation.hidden and variable.required:
            findings.add(
                MANIFEST, f"“inputs.{variable.name}” is hidden, but the variable has no default: nobody could set it."
            )
        presented.append(replace(variable, presentation=presentation))
    order = {name: position for position, name in enumerate(manifest.inputs)}
    return sorted(presented, key=lambda variable: order.get(variable.name, len(order)))


def _check_applications(manifest: Manifest, outputs: list[Output], findings: Findings) -> None:
    known = {output.name: output for output in outputs}
    for application in manifest.applications:
        for key in ("address_output", "secret_output"):
            name = getattr(application, key)
            if name and name not in known:
                hint = did_you_mean(name, known)
                findings.add(
                    MANIFEST, f"application “{application.name}”: “{key}” names no output of the module.{hint}"
                )
        secret = known.get(application.secret_output)
        if secret is not None and not secret.sensitive:
            findings.add("outputs.tf", f"output “{secret.name}” is a secret: add `sensitive = true`.")
        if application.auth != "none" and not application.secret_output:
            findings.add(MANIFEST, f"application “{application.name}”: “auth” needs a “secret_output”.")


def _check_labels(manifest: Manifest, addresses: set[str], findings: Findings) -> None:
    for address in manifest.resource_labels.keys() - addresses:
        hint = did_you_mean(address, addresses)
        findings.add(MANIFEST, f"“resource_labels.{address}”: there is no such resource.{hint}")
    for address in sorted(addresses - manifest.resource_labels.keys()):
        findings.add(MANIFEST, f"“resource_labels” lacks {address}: name it in words people understand.")


def _check_values(interface: ModuleInterface, findings: Findings) -> None:
    """Presets, options and defaults have to pass the module's own rules."""
    for variable in interface.inputs:
        for option in variable.presentation.options:
            problems = value_fit(variable.type, option.value)[1]
            if problems:
                findings.add(MANIFEST, f"“inputs.{variable.name}.options”: {option.label} is no {variable.type}.")
    required = {variable.name for variable in interface.inputs if variable.required}
    _, errors = inputs_clean(interface, {}, unreadable=required)
    for name, messages in errors.items():
        findings.add("variables.tf", f"the default of “{name}” breaks its own rule: {' '.join(messages)}")
    for preset in interface.presets:
        _, preset_errors = inputs_clean(interface, preset.inputs, unreadable=required - preset.inputs.keys())
        for name, messages in preset_errors.items():
            if name in preset.inputs or name not in errors:
                findings.add(MANIFEST, f"“presets.{preset.name}.inputs.{name}”: {' '.join(messages)}")
        for name in preset.inputs:
            chosen = interface.variable(name)
            if chosen is not None and chosen.sensitive:
                findings.add(
                    MANIFEST, f"“presets.{preset.name}.inputs.{name}” is sensitive: a preset is readable by all."
                )
