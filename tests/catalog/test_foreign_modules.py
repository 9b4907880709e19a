"""Modules as other people write them: each is taken in, and each value comes back from Terraform as it was entered."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.forms import BooleanField, CheckboxInput, Textarea

from apps.catalog.interface import ModuleInterface, TerraformType, Variable, module_parse
from apps.catalog.interface.type_constraints import value_fit
from apps.catalog.launch_fields import InputField
from apps.catalog.launch_form import LaunchForm, launch_form_class
from tests.catalog.modules import MANIFEST
from tests.contracts.conftest import ENGINES

FOREIGN = Path(__file__).parent / "foreign"
NAMES = sorted(path.name for path in FOREIGN.iterdir())

DEEP = {
    "web": {
        "port": 443,
        "rules": {
            "first": {
                "conditions": [{"path_pattern": {"values": ["/api/*"]}}, {"http_header": {
                    "http_header_name": "X-Test", "values": ["a", "b"]}}],
                "actions": [{"weighted": {"target_groups": [{"key": "blue"}, {"key": "green", "weight": 3}]}}, {}],
            },
            "second": {"priority": 2, "conditions": []},
        },
    },
    "plain": {},
}  # fmt: skip

# What people enter, by module; a variable that is not named is left as it is.
ENTERED: dict[str, dict[str, Any]] = {
    "storage": {
        "buckets": {"raw": {"lifecycle_rules": [{"expire_days": 30}], "tags": {"a b": "ü"}}, "off": {}},
        "replicas": ["us-east-1", "eu-west-1"],
        "encryption": {"algorithm": "aws:kms", "key": "alias/one"},
        "logging": [{"target": "logs"}, {"target": "more", "prefix": ""}],
    },
    "node-groups": {
        "node_groups": {"blue": {"size": 3, "labels": {"gpu": "no"}}, "green": {"size": 1, "labels": {}}},
        "node_group_defaults": {"disk": "20"},
        "taints": [{"key": "a"}],
        "extra": "plain text",
    },
    "untyped": {"name": "demo", "zones": ["c"], "labels": {"a": "1"}, "anything": 12.5},
    "heredocs": {
        "rules": {"web": {"port": 443, "from": ["10.0.0.0/8"]}},
        "script": "#!/bin/sh\necho ${HOME} %{x}\n\tdone",
    },
    "shapes": {
        "pair": ["b", 2.5],
        "matrix": [[], [1], [2, -3]],
        "ports": {"tcp": [80, 443], "udp": []},
        "members": [{"name": "dana", "admin": False}, {"name": "mira", "admin": True}],
        "flags": {"on": True, "off": False},
        "mixed": {
            "text": "", "number": 0, "flag": False, "list": [""], "map": {"x": 1e-3}, "tuple": [True, []], "empty": {},
        },
    },
    "rules": {"environment": "prod", "cidr": "192.168.0.0/24", "minimum": 2, "maximum": 2, "owners": ["a@example.com"]},
    "composed": {"leaves": ["a", "b"]},
    "secrets": {"password": " with spaces ", "keys": {"K": "v=w"}, "certificate": {"certificate": "c\nd", "key": "k"}},
    "deep": {"listeners": DEEP},
    "texts": {
        "greeting": 'She said "hi" \\ ${not} %{this}', "motto": "one\ntwo\n", "ratio": 0.1, "offset": -0.5,
        "large": -9007199254740991, "switch": False, "perhaps": True, "paths": ["/a b", "/ü"],
        "settings": {"A": "x=y", "B": "", "C": "  indented"},
    },
    "syntax": {"key": "b"},
}  # fmt: skip


def interface_of(name: str) -> ModuleInterface:
    return module_parse(FOREIGN / name, slug=f"foreign-{name}", manifest_text=MANIFEST)


def text_of(field: InputField, value: Any) -> Any:
    """What a browser shows and sends for a value; nobody's browser shows a secret, so that one is typed."""
    return value if isinstance(field.widget, CheckboxInput) else field.prepare_value(value)


def sent(form: LaunchForm, values: dict[str, Any]) -> LaunchForm:
    """The form filled in with these values and sent."""
    data = {name: text_of(form.fields[name], value) for name, value in values.items()}
    shown = {name: form[name].value() for name in form.fields if name not in values}
    return type(form)({**{name: "" if value is None else value for name, value in shown.items()}, **data})


def normal(variable: Variable, value: Any) -> Any:
    """As Terraform has it: complete, sets in an order of their own."""
    fitted, problems = value_fit(variable.type, value, lenient=True, complete=True)
    assert not problems
    return ordered(variable.type, fitted)


def ordered(of: TerraformType, value: Any) -> Any:
    if of.kind == "set" and isinstance(value, list):
        return sorted(value, key=json.dumps)
    return value


@pytest.mark.parametrize("name", NAMES)
def test_a_module_that_nobody_here_wrote_is_taken_in_and_read_back(name: str) -> None:
    found = interface_of(name)
    assert found.inputs
    assert ModuleInterface.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("name", sorted(ENTERED))
def test_every_value_comes_back_from_terraform_as_it_was_entered(name: str, tmp_path: Path) -> None:
    found, entered = interface_of(name), ENTERED[name]
    form = sent(launch_form_class(found)(), entered)
    assert form.is_valid(), form.errors
    values = form.values()
    assert {key: values[key] for key in entered} == entered

    seen = terraform_sees(FOREIGN / name, values, tmp_path)
    inputs = {variable.name: variable for variable in found.inputs}
    assert seen.keys() == inputs.keys()
    for key, variable in inputs.items():
        expected = values.get(key, variable.default)
        assert ordered(variable.type, seen[key]) == (None if expected is None else normal(variable, expected)), key

    again = sent(launch_form_class(found)(), {key: value for key, value in seen.items() if value is not None})
    assert again.is_valid(), again.errors
    assert terraform_sees(FOREIGN / name, again.values(), tmp_path / "again") == seen


def terraform_sees(module: Path, values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The output `seen` of the module, applied with these values."""
    shutil.copytree(module, folder, dirs_exist_ok=True)
    (folder / "terraform.tfvars.json").write_text(json.dumps(values))
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    for command in (["init"], ["apply", "-auto-approve", "-compact-warnings"]):
        told = subprocess.run(
            [*ENGINES[0].argv, *command, "-no-color", "-input=false"],
            cwd=folder, env=environ, capture_output=True, text=True,
        )  # fmt: skip
        assert told.returncode == 0, told.stdout + told.stderr
    shown = subprocess.run(
        [*ENGINES[0].argv, "output", "-json", "seen"], cwd=folder, env=environ, capture_output=True, text=True
    )
    seen = json.loads(shown.stdout)
    assert isinstance(seen, dict)
    return seen


HCL = """
{
  # the way people know it
  web = {
    port = 443
    rules = {
      "first" = { conditions = [{ path_pattern = { values = ["/api/*"] } }] }
    }
  }
}
"""


def test_nested_values_may_be_written_in_terraforms_own_notation() -> None:
    form = launch_form_class(interface_of("deep"))({"listeners": HCL})
    assert form.is_valid(), form.errors
    assert form.values() == {
        "listeners": {"web": {
            "port": 443, "rules": {"first": {"conditions": [{"path_pattern": {"values": ["/api/*"]}}]}}
        }}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"web": {"port": 443}', "neither JSON nor Terraform's notation: line 1, column 22"),
        ("{\n  web = {\n    port = = 443\n  }\n}", "neither JSON nor Terraform's notation: line 3, column 12"),
        ("{ web = { port = var.port } }", "plain value, without references"),
        ('{ web = { protocol = upper("http") } }', "plain value, without references"),
        ("{ web = { port = 1 }, web = { port = 2 } }", "“web” appears twice"),
        ('{"web": {"port": 1}, "web": {"port": 2}}', "A name appears twice"),
        ("{ web = { prot = 1 } }", "There is no “prot” here. Did you mean “port”?"),
        ('{ web = { port = "many" } }', "web.port: Enter a number."),
        ("{}\nother = {}", "neither JSON nor Terraform's notation: line 2, column 1"),
        ("[" * 3000 + "]" * 3000, "nested too deeply"),
    ],
)
def test_a_slip_in_a_nested_value_is_pointed_at(text: str, message: str) -> None:
    form = launch_form_class(interface_of("deep"))({"listeners": text})
    assert not form.is_valid()
    assert message in form.errors["listeners"][0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("eu-west-1", "eu-west-1"), ("truely", "truely"), ('"12"', "12"), ("12", 12), ("true", True), ("null", None),
        ("[1, 2]", [1, 2]), ("{ a = 1 }", {"a": 1}),
    ],
)  # fmt: skip
def test_what_has_no_type_takes_text_and_values(text: str, value: Any) -> None:
    form = launch_form_class(interface_of("untyped"))({"name": "x", "region": "r", "anything": text})
    assert form.is_valid(), form.errors
    assert form.values()["anything"] == value


def test_a_slip_in_a_value_without_a_type_does_not_become_text() -> None:
    form = launch_form_class(interface_of("untyped"))({"name": "x", "region": "r", "anything": "{ a = 1"})
    assert "neither JSON nor Terraform's notation" in form.errors["anything"][0]


def test_a_value_of_several_lines_is_shown_in_several_lines_and_keeps_its_last_line_end() -> None:
    form_class = launch_form_class(interface_of("texts"))
    form = form_class(initial={"motto": "one\ntwo\n"})
    assert isinstance(form.fields["motto"].widget, Textarea)
    assert not isinstance(form_class().fields["motto"].widget, Textarea)
    again = sent(form, {})
    assert again.is_valid(), again.errors
    assert again.values()["motto"] == "one\ntwo\n"


def test_a_default_of_several_lines_stays_as_it_is_when_nobody_touches_it() -> None:
    found = interface_of("heredocs")
    form = sent(launch_form_class(found)(), {})
    assert form.is_valid(), form.errors
    assert form.values()["script"] == found.variable("script").default


def test_a_module_of_two_hundred_variables_is_a_form(tmp_path: Path) -> None:
    types = ["string", "number", "bool", "list(string)", "map(string)", 'object({ a = optional(string, "x") })', "any"]
    source = "".join(
        f'variable "setting_{number}" {{\n  description = "Setting {number}."\n  type = {types[number % 7]}\n'
        f"  default = null\n}}\n"
        for number in range(200)
    )
    (tmp_path / "variables.tf").write_text(source)
    found = module_parse(tmp_path, slug="wide", manifest_text=MANIFEST)
    assert len(found.inputs) == 200
    form = launch_form_class(found)({})
    assert form.is_valid()
    assert form.values() == {variable.name: None for variable in found.inputs}
    assert not any(isinstance(field, BooleanField) for field in form.fields.values())
