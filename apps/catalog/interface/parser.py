"""A module directory read into a `ModuleInterface`; everything that is wrong with it is reported at once."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.catalog.interface.files import module_files
from apps.catalog.interface.hcl_syntax import Block, HclSyntaxError, hcl_parse
from apps.catalog.interface.inputs import inputs_clean
from apps.catalog.interface.manifest import FILE as MANIFEST
from apps.catalog.interface.manifest import Manifest, manifest_read
from apps.catalog.interface.model import ModuleInterface, Output, Presentation, Variable
from apps.catalog.interface.problems import Findings, did_you_mean
from apps.catalog.interface.source import Source
from apps.catalog.interface.type_constraints import value_fit

_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MAX_FILE = 1024 * 1024


def module_parse(path: Path, *, slug: str = "", manifest_text: str = "") -> ModuleInterface:
    """The interface of the module in `path`. Raises `ModuleInvalid` with every problem found.

    `slug` where the directory is not named for the module; `manifest_text` stands in for a module.yaml that the
    directory does not have. What would only make the module better for people is in the interface's `advice`.
    """
    path = Path(path).resolve()
    slug = slug or path.name
    findings = Findings()
    names = {file.relative_to(path).as_posix() for file in module_files(path)}
    if not _SLUG.fullmatch(slug) or len(slug) > 60:
        findings.add(slug, "a module is named in lower-case letters, digits and single hyphens.")
    readme = ""
    if "README.md" in names:
        readme = _text(path, "README.md", names, findings)
    else:
        findings.advise("README.md", "is missing: describe the module there for the people who use it.")
    if MANIFEST in names or not manifest_text:
        manifest_text = _required(
            path, MANIFEST, names, "add it with title, version, kind, target, summary and ttl.", findings
        )
    manifest = manifest_read(manifest_text, findings) if manifest_text else None
    blocks = _blocks(path, names, findings)
    source = Source(blocks, findings)
    variables, outputs = source.variables(), source.outputs()
    requirements, submodules = source.requirements(), source.submodules()
    source.check_self_contained()
    if manifest is None:
        findings.raise_if_any()
        raise AssertionError("module.yaml is missing without a finding")
    variables = _presented(manifest, variables, findings)
    _check_applications(manifest, outputs, findings)
    _check_labels(manifest, source.addresses(), findings)
    interface = _interface(
        manifest,
        slug=slug,
        readme=readme,
        variables=tuple(variables),
        outputs=tuple(outputs),
        required_version=requirements[0],
        required_providers=requirements[1],
        submodules=submodules,
    )
    _check_values(interface, findings)
    findings.raise_if_any()
    return replace(interface, advice=tuple(map(str, findings.advice)))


def _interface(manifest: Manifest, **of_source: Any) -> ModuleInterface:
    """What module.yaml says, with what the Terraform files say beside it."""
    return ModuleInterface(
        title=manifest.title,
        version=manifest.version,
        kind=manifest.kind,
        target=manifest.target,
        icon=manifest.icon,
        summary=manifest.summary,
        ttl=manifest.ttl,
        presets=manifest.presets,
        default_preset=manifest.default_preset,
        applications=manifest.applications,
        resource_labels=manifest.resource_labels,
        files_lost_on_destroy=manifest.files_lost_on_destroy,
        lost_on_stop=manifest.lost_on_stop,
        runtimes=manifest.runtimes,
        runtime_packages=manifest.runtime_packages,
        connect=manifest.connect,
        takeover=manifest.takeover,
        data_resources=manifest.data_resources,
        limits=manifest.limits,
        needs_variables=manifest.needs_variables,
        examples=manifest.examples,
        **of_source,
    )


def _required(path: Path, name: str, names: set[str], cure: str, findings: Findings) -> str:
    if name not in names:
        findings.add(name, f"is missing: {cure}")
        return ""
    text = _text(path, name, names, findings)
    if not text.strip() and not any(problem.file == name for problem in findings.problems):
        findings.add(name, f"is empty: {cure}")
    return text


def _text(path: Path, name: str, names: set[str], findings: Findings) -> str:
    file = path / name
    if file.stat().st_size > _MAX_FILE:
        findings.add(name, f"is larger than {_MAX_FILE // 1024} KB.")
        return ""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        findings.add(name, "cannot be read as UTF-8 text.")
        return ""


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
        text = _text(path, name, names, findings)
        try:
            blocks += [(name, block) for block in hcl_parse(text).blocks]
        except HclSyntaxError as error:
            findings.add(name, f"{error}; `terraform validate` says more.", error.line)
    return blocks


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
        findings.advise(MANIFEST, f"“resource_labels” lacks {address}: name it in words people understand.")


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
