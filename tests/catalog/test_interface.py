"""Module directories read into interfaces: the real module, and what is refused with which words."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from apps.catalog.interface import ModuleInterface, ModuleInvalid, module_digest, module_files, module_parse
from tests.catalog.modules import MANIFEST, interface_of, module_write, variable

NOTEBOOK = Path(__file__).parents[2] / "terraform" / "modules" / "local-notebook"


@pytest.fixture(scope="module")
def notebook() -> ModuleInterface:
    return module_parse(NOTEBOOK)


def problems_of(path: Path) -> str:
    with pytest.raises(ModuleInvalid) as caught:
        module_parse(path)
    return str(caught.value)


def test_the_notebook_module_reads_as_what_it_is(notebook: ModuleInterface) -> None:
    assert (notebook.slug, notebook.kind, notebook.target) == ("local-notebook", "notebook", "local")
    assert [variable.name for variable in notebook.inputs][:4] == ["cpu", "memory_gb", "gpus", "repository"]
    assert notebook.reserved == {"slipway", "slipway_secrets", "slipway_runtime"}
    assert notebook.preset().inputs == {"cpu": 1, "memory_gb": 2}
    assert notebook.preset("large").inputs == {"cpu": 2, "memory_gb": 8}
    assert (notebook.ttl.default_s, notebook.ttl.maximum_s) == (8 * 3600, 7 * 86400)
    assert notebook.required_providers == {
        "slipway": {"source": "slipway.local/slipway/slipway", "version": ">= 0.1.0, < 1.0.0"}
    }
    assert {output.name for output in notebook.outputs if output.sensitive} == {"secret"}
    assert notebook.resource_labels["slipway_volume.home"] == "Your files"


def test_an_interface_survives_json(notebook: ModuleInterface) -> None:
    stored = json.loads(json.dumps(notebook.to_json()))
    assert ModuleInterface.from_json(stored) == notebook


def test_an_interface_of_a_later_schema_is_refused(notebook: ModuleInterface) -> None:
    with pytest.raises(ValueError, match="schema 99"):
        ModuleInterface.from_json(notebook.to_json() | {"schema": 99})


def test_types_are_read_with_all_their_depth(tmp_path: Path) -> None:
    nested = 'map(object({size=number, tags=optional(list(string), ["a"]), owner=optional(string)}))'
    found = interface_of(tmp_path, variable("disks", nested, "default = {}"), variable("pair", "tuple([string, bool])"))
    disks, pair = found.variable("disks"), found.variable("pair")
    assert str(disks.type) == 'map(object({size=number, tags=optional(list(string), ["a"]), owner=optional(string)}))'
    assert str(pair.type) == "tuple([string, bool])"
    assert ModuleInterface.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_defaults_flags_and_heredocs_are_read(tmp_path: Path) -> None:
    source = """
variable "a" {
  type        = list(number)
  default     = [1, -2.5, 1e3]
  sensitive   = true
  nullable    = false
  description = <<-EOT
    First line
      and the second.
  EOT
}
variable "b" {
  type        = string
  default     = null
  description = "A $${literal} and \\"quotes\\"."
}
"""
    a, b = interface_of(tmp_path, source).variables
    assert (a.default, a.sensitive, a.nullable) == ([1, -2.5, 1000], True, False)
    assert a.description == "First line and the second."
    assert (b.has_default, b.default, b.description) == (True, None, 'A ${literal} and "quotes".')


def test_inputs_come_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    source = [variable(name, "string", 'default = ""') for name in ("a", "b", "c")]
    found = interface_of(tmp_path, *source, manifest="inputs: {c: {group: basic}, a: {hidden: true}}")
    assert [item.name for item in found.inputs] == ["c", "b"]


def test_what_a_required_variable_says_without_a_manifest_entry_is_basic(tmp_path: Path) -> None:
    found = interface_of(tmp_path, variable("a"), variable("b", "string", 'default = ""'))
    assert [item.presentation.group for item in found.variables] == ["basic", "more"]


@pytest.mark.parametrize(
    ("said", "read"),
    [("", None), ("needs_variables: []", ()), ("needs_variables: [A_KEY, region]", ("A_KEY", "region"))],
)
def test_what_it_needs_of_variable_sets_is_read_and_kept(tmp_path: Path, said: str, read: object) -> None:
    found = interface_of(tmp_path, variable("a"), manifest=said)
    assert found.needs_variables == read
    assert ModuleInterface.from_json(json.loads(json.dumps(found.to_json()))) == found


# (what is added to module.yaml, what the author reads)
MANIFEST_MISTAKES = [
    ("presets: {small: {inputs: {cpux: 1}}}", "There is no input called “cpux”. Did you mean “cpu”?"),
    ("presets: {small: {inputs: {cpu: many}}}", "“presets.small.inputs.cpu”: Enter a number."),
    ("presets: {small: {inputs: {cpu: 99}}}", "At most 8 cores."),
    ("presets: {small: {inputs: {key: x}}}", "is sensitive: a preset is readable by all"),
    ("presets: {small: {input: {cpu: 1}}}", "unknown key “presets.small.input”. Did you mean “inputs”?"),
    ("presets: {small: {}}\ndefault_preset: smal", "“default_preset” names “smal”"),
    ("icons: x", "unknown key “icons”. Did you mean “icon”?"),
    ("inputs: {cpus: {label: Cores}}", "“inputs.cpus”: there is no such variable. Did you mean “cpu”?"),
    ("inputs: {cpu: {group: advanced}}", "“inputs.cpu.group” cannot be “advanced”. Known: basic, more."),
    ("inputs: {cpu: {options: [a]}}", "“inputs.cpu.options”: a is no number."),
    ("inputs: {must: {hidden: true}}", "is hidden, but the variable has no default"),
    ("applications: [{name: lab, address_output: adress}]", "“address_output” names no output"),
    ("applications: [{name: lab, address_output: address, secret_output: plain}]", "add `sensitive = true`"),
    ("applications: [{name: lab, address_output: address, path: lab}]", "has to start with “/”"),
    ("applications: [{name: lab, address_output: address, auth: bearer}]", "“auth” needs a “secret_output”"),
    ("resource_labels: {terraform_data.disc: Disk}", "there is no such resource. Did you mean “terraform_data.disk”?"),
    ("connect: {kind: dask}", "lacks “connect.snippet”"),
    ("runtimes: python", "“runtimes” has to be a list of names"),
    ("takeover: [a]", "“takeover” has to be a mapping"),
    ("title: Again", "“title” appears twice"),
    ("icon: [1, 2", "is not valid YAML"),
    ("files_lost_on_destroy: maybe", "“files_lost_on_destroy” has to be true or false"),
    ("presets: &a {}\ninputs: *a", "aliases are not supported here"),
]


@pytest.mark.parametrize(("added", "message"), MANIFEST_MISTAKES)
def test_a_mistake_in_the_manifest_is_named_with_its_cure(tmp_path: Path, added: str, message: str) -> None:
    source = (
        variable("cpu", "number", "default = 1", rules=(("var.cpu <= 8", "At most 8 cores."),))
        + variable("key", "string", "default = null", "sensitive = true")
        + variable("must")
    )
    outputs = "".join(f'output "{name}" {{\n  value = 1\n  description = "x"\n}}\n' for name in ("address", "plain"))
    files = {"main.tf": 'resource "terraform_data" "disk" {}\n', "outputs.tf": outputs}
    assert message in problems_of(module_write(tmp_path / "sample", source, added, **files))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1.0.0", "version: v1", "has to be a semantic version such as 1.0.0"),
        ("version: 1.0.0", "version: 1.0", "“version” has to be text: put it in quotes"),
        ("version: 1.0.0", "", "lacks “version”"),
        ("kind: notebook", "kind: laptop", "“kind” cannot be “laptop”. Known: notebook, cluster, endpoint, job."),
        ("maximum: 7d", "maximum: 1 week", "“ttl.maximum” has to be a time such as 30m, 8h or 7d"),
        ("default: 8h", "default: 9d", "“ttl.default” is longer than “ttl.maximum”"),
        ("title: Sample", "- title", "is not valid YAML"),
    ],
)
def test_the_required_keys_are_checked(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert message in problems_of(module_write(tmp_path / "sample", **{"module.yaml": MANIFEST.replace(old, new)}))


# (Terraform source, what the author reads)
SOURCE_MISTAKES = [
    ('module "m" {\n  version = "1.0"\n}', "a module block needs one name and a source"),
    (variable("a", "strng"), "“strng” is not a type. Did you mean “string”?"),
    (variable("a", "lst(string)"), "“lst(...)” is not a type. Did you mean “list”?"),
    (variable("a", "number", 'default = "x"'), "variable “a”: the default is no number"),
    (variable("a", "string", "default = upper(1)"), "this has to be a plain value"),
    (variable("a", "string", "sensitive = yes"), "“sensitive” has to be plain true or false"),
    (variable("a", "number", "default = 9", rules=(("var.a < 9", "Less."),)), "breaks its own rule: Less."),
    (variable("a") + variable("a"), "declares a variable twice"),
    (variable("slipway_secrets", "object({mlflow_tracking_token=string})"), "has to say `sensitive = true`"),
    (variable("slipway", "object({nmae=string})"), "does not fill in “slipway.nmae”. Did you mean “name”?"),
    ('terraform {\n  backend "s3" {}\n}', "Slipway keeps the state itself: remove the “backend” block"),
    ('module "m" {\n  source = "../other"\n}', "“..” is not shipped"),
    ('variable "a" {', "variables.tf:1: this is not valid Terraform"),
    ('variable "a" {\n  type = = string\n}', "variables.tf:2: this is not valid Terraform"),
]


@pytest.mark.parametrize(("source", "message"), SOURCE_MISTAKES)
def test_a_mistake_in_the_source_is_named_with_its_cure(tmp_path: Path, source: str, message: str) -> None:
    assert message in problems_of(module_write(tmp_path / "sample", source))


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    path = module_write(tmp_path / "sample")
    (path / "module.yaml").unlink()
    assert problems_of(path).startswith("module.yaml: ")
    assert module_parse(path, slug="taken-in", manifest_text=MANIFEST).slug == "taken-in"


# (Terraform source, what its author is advised)
ADVICE = [
    ('variable "a" {\n  type = string\n}', "variables.tf:1: variable “a” has no description"),
    ('variable "a" {\n  description = "x"\n}', "variable “a” has no type"),
    ('output "a" {\n  value = 1\n}', "output “a” has no description"),
    ('resource "terraform_data" "disk" {}', "“resource_labels” lacks terraform_data.disk"),
]


@pytest.mark.parametrize(("source", "message"), ADVICE)
def test_what_would_make_a_module_better_is_advice_and_no_refusal(tmp_path: Path, source: str, message: str) -> None:
    found = module_parse(module_write(tmp_path / "sample", source))
    assert any(message in advice for advice in found.advice), found.advice


@pytest.mark.parametrize("name", ["README.md", "versions.tf"])
def test_a_module_without_a_readme_or_a_required_version_is_taken(tmp_path: Path, name: str) -> None:
    path = module_write(tmp_path / "sample")
    (path / name).unlink()
    assert [advice.partition(":")[0] for advice in module_parse(path).advice] == [name]


@pytest.mark.parametrize("path", sorted(NOTEBOOK.parent.iterdir()), ids=lambda path: path.name)
def test_our_own_modules_need_no_advice(path: Path) -> None:
    assert module_parse(path).advice == ()


def test_an_interface_of_before_a_field_was_added_is_read(tmp_path: Path) -> None:
    found = interface_of(tmp_path, variable("a"))
    stored = found.to_json()
    added = ("submodules", "lost_on_stop", "runtimes", "connect", "takeover", "data_resources", "examples", "advice")
    for name in added:
        del stored[name]
    assert ModuleInterface.from_json(stored) == found


@pytest.mark.parametrize("name", ["terraform.tfvars", "x.auto.tfvars", "override.tf", "a_override.tf", "main.tf.json"])
def test_files_that_change_a_module_from_the_side_are_refused(tmp_path: Path, name: str) -> None:
    assert problems_of(module_write(tmp_path / "sample", **{name: "# x\n"})).startswith(f"{name}: ")


def test_a_directory_with_an_unusable_name_is_refused(tmp_path: Path) -> None:
    assert "named in lower-case letters" in problems_of(module_write(tmp_path / "My Module"))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = module_write(tmp_path / "sample")
    (path / "variables.tf").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read as UTF-8 text" in problems_of(path)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    path = module_write(tmp_path / "sample", variable("a", "strng") + variable("b", "nmber"), "icons: x")
    with pytest.raises(ModuleInvalid) as caught:
        module_parse(path)
    assert len(caught.value.problems) == 3
    assert set(caught.value.errors) == {"variables.tf", "module.yaml"}


def test_the_digest_covers_names_and_contents(tmp_path: Path) -> None:
    path = module_write(tmp_path / "sample")
    first = module_digest(path)
    (path / "files").mkdir()
    (path / "files" / "a").write_text("1")
    second = module_digest(path)
    (path / "files" / "a").rename(path / "files" / "b")
    assert len({first, second, module_digest(path)}) == 3
    assert re.fullmatch("[0-9a-f]{64}", first)


def test_the_digest_is_blind_to_what_tools_leave_behind(tmp_path: Path) -> None:
    path = module_write(tmp_path / "sample")
    before, files = module_digest(path), module_files(path)
    for name in (".terraform/x", ".terraform.lock.hcl", "terraform.tfstate", "runtime/__pycache__/a.pyc", ".git/HEAD"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("left behind")
    assert (module_digest(path), module_files(path)) == (before, files)


def test_links_and_pipes_are_refused(tmp_path: Path) -> None:
    path = module_write(tmp_path / "sample")
    (path / "passwd").symlink_to("/etc/passwd")
    (path / "etc").symlink_to("/etc")
    os.mkfifo(path / "pipe")
    with pytest.raises(ModuleInvalid) as caught:
        module_digest(path)
    assert {problem.file for problem in caught.value.problems} == {"passwd", "etc", "pipe"}


def test_a_variable_keeps_its_source_text_of_a_rule(notebook: ModuleInterface) -> None:
    rule = notebook.variable("memory_gb").validations[0]
    assert rule.condition == "var.memory_gb >= 1 && var.memory_gb <= 256"
    assert replace(rule) == rule
