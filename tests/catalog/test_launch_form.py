"""The generated form and the check it shares with the API."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.catalog.interface import ModuleInterface, module_parse
from apps.catalog.launch_form import LaunchForm, inputs_clean, launch_form_class
from tests.catalog.modules import interface_of, module_write, variable

NOTEBOOK = Path(__file__).parents[2] / "terraform" / "modules" / "local-notebook"


@pytest.fixture(scope="module")
def notebook() -> ModuleInterface:
    return module_parse(NOTEBOOK)


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> ModuleInterface:
    """One variable of every kind."""
    source = [
        variable("text", "string", 'default = ""'),
        variable("must"),
        variable("maybe", "string", "default = null"),
        variable("count", "number", "default = 1", rules=(("var.count >= 1 && var.count <= 9", "From 1 to 9."),)),
        variable("ratio", "number", "default = null"),
        variable("flag", "bool", "default = true"),
        variable("tri", "bool", "default = null"),
        variable(
            "colour", "string", 'default = "red"', rules=(('contains(["red", "blue"], var.colour)', "Red or blue."),)
        ),
        variable("size", "number", "default = 2"),
        variable("names", "list(string)", "default = []"),
        variable("ports", "set(number)", "default = []"),
        variable("labels", "map(string)", "default = {}"),
        variable("disk", "object({size=number, tags=optional(list(string), [])})", "default = null"),
        variable("free", "any", "default = null"),
        variable("token", "string", "default = null", "sensitive = true"),
        variable("keys", "map(string)", "default = {}", "sensitive = true"),
    ]
    manifest = "inputs: {size: {options: [{value: 2, label: Two}, {value: 4, label: Four}]}, must: {group: basic}}"
    return interface_of(tmp_path_factory.mktemp("rich"), *source, manifest=manifest)


def posted(form_class: type[LaunchForm], **changes: str | None) -> LaunchForm:
    """The form as a browser sends it when only `changes` were made (None: not sent at all, as an unticked box)."""
    shown = form_class(prefix="in")
    data = QueryDict(mutable=True)
    for bound in shown:
        text = bound.value()
        if text is True:
            data[bound.html_name] = "on"
        elif text is not False:
            data[bound.html_name] = str(text)
    for name, text in changes.items():
        data.pop(f"in-{name}", None)
        if text is not None:
            data[f"in-{name}"] = text
    return form_class(data, prefix="in")


def test_the_notebook_form_launches_with_no_typing(notebook: ModuleInterface) -> None:
    form = posted(launch_form_class(notebook))
    assert form.is_valid(), form.errors
    assert form.values() == {
        "cpu": 1,
        "memory_gb": 2,
        "gpus": 0,
        "repository": None,
        "revision": None,
        "disk_gb": None,
        "environment_variables": {},
        "secret_variables": {},
        "health_timeout_s": 60,
    }


def test_fields_are_grouped_and_labelled_as_the_manifest_says(notebook: ModuleInterface) -> None:
    form = launch_form_class(notebook)()
    assert [bound.label for bound in form.basic_fields()] == ["Git repository"]
    assert len(form.more_fields()) == 8
    assert form.fields["environment_variables"].terraform_type == "map(string)"
    assert form.fields["cpu"].help_text.startswith("Processor cores")
    assert "slipway" not in form.fields


def test_a_preset_fills_the_fields(notebook: ModuleInterface) -> None:
    assert launch_form_class(notebook, preset="large")()["memory_gb"].value() == "8"
    with pytest.raises(ValueError, match="no preset 'huge'"):
        launch_form_class(notebook, preset="huge")


def test_rules_become_bounds_of_the_fields(notebook: ModuleInterface) -> None:
    html = str(launch_form_class(notebook)()["health_timeout_s"])
    assert 'min="10"' in html
    assert 'max="600"' in html
    assert 'step="1"' in html
    assert 'step="any"' in str(launch_form_class(notebook)()["cpu"])
    assert 'min="1"' in str(launch_form_class(notebook)()["disk_gb"])


def test_adding_a_variable_changes_the_form_with_no_other_edit(tmp_path: Path) -> None:
    path = module_write(tmp_path / "sample", variable("a"))
    assert list(launch_form_class(module_parse(path))().fields) == ["a"]
    rule = ('contains(["eu", "us"], var.region)', "Choose eu or us.")
    (path / "extra.tf").write_text(variable("region", "string", 'default = "eu"', rules=(rule,)))
    form = launch_form_class(module_parse(path))({"a": "x", "region": "mars"})
    assert list(form.fields) == ["a", "region"]
    assert form.fields["region"].widget.choices == [("eu", "eu"), ("us", "us")]
    assert form.errors == {"region": ["Choose eu or us."]}


# (variable, what was typed, what the person reads)
BAD_INPUT = [
    ("must", "", "This field is required."),
    ("must", "   ", "This field is required."),
    ("must", "x" * 10_001, "Use at most 10,000 characters."),
    ("must", "x" * 100_001, "Use at most 100,000 characters."),
    ("must", "a\x00b", "The text contains a null character, which cannot be stored."),
    ("must", "a\ud800b", "The text contains half a character (a lone surrogate)."),
    ("count", "many", "Enter a number."),
    ("count", "1,5", "Enter a number."),
    ("count", "NaN", "Enter a number."),
    ("count", "Infinity", "Enter a number."),
    ("count", "١", "Enter a number."),
    ("count", "1e9999", "Enter a number of a usual size."),
    ("count", "1e300", "Enter a number between -9007199254740991 and 9007199254740991."),
    ("count", "0", "From 1 to 9."),
    ("count", "10", "From 1 to 9."),
    ("tri", "perhaps", "Choose yes or no (true or false)."),
    ("colour", "green", "Red or blue."),
    ("size", "3", "Choose one of: Two, Four."),
    ("names", '["a", 1]', "[1]: Enter text."),
    ("names", '["a"', "This is neither JSON nor Terraform's notation: line 1, column 5."),
    ("ports", "80\nhttp", "Line 2: enter a number."),
    ("labels", "novalue", "Line 1: write NAME=value."),
    ("labels", "a=1\na=2", "Line 2: this name appears twice."),
    ("disk", "{size: 1", "This is neither JSON nor Terraform's notation: line 1, column 9."),
    ("disk", '{"sze": 1}', "There is no “sze” here. Did you mean “size”?"),
    ("disk", "{}", "size: A value is missing here."),
    ("disk", '{"size": "big"}', "size: Enter a number."),
    ("disk", '{"size": 1, "size": 2}', "A name appears twice."),
    ("disk", '{"size": NaN}', "Enter finite numbers."),
    ("disk", "[" * 200_000, "Use at most 100,000 characters."),
    ("disk", "[" * 50_000, "This is nested too deeply."),
    ("free", "[" * 20 + "]" * 20, "This is nested deeper than 12 levels."),
    ("names", json.dumps(["x"] * 1001), "Use at most 1,000 items."),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD_INPUT)
def test_bad_input_is_explained_beside_its_field(rich: ModuleInterface, name: str, text: str, message: str) -> None:
    form = posted(launch_form_class(rich), **{"must": "here", name: text})
    assert not form.is_valid()
    assert list(form.errors) == [name]
    assert any(message in said for said in form.errors[name]), form.errors[name]


GOOD_INPUT = [
    ("count", " 3 ", 3),
    ("count", "3.0", 3),
    ("count", "1.5", 1.5),
    ("ratio", "", None),
    ("ratio", ".25", 0.25),
    ("flag", None, False),
    ("flag", "on", True),
    ("tri", "", None),
    ("tri", "false", False),
    ("size", "4", 4),
    ("maybe", "", None),
    ("names", "a\r\n\r\n b \r\n", ["a", "b"]),
    ("names", "", []),
    ("names", '["with\\nbreak"]', ["with\nbreak"]),
    ("ports", "80\n443\n80", [80, 443]),
    ("labels", "a = 1\nurl=http://x/?q=1", {"a": "1", "url": "http://x/?q=1"}),
    ("disk", '{"size": 5}', {"size": 5}),
    ("free", '{"a": [1, null, true]}', {"a": [1, None, True]}),
    ("token", " s3cret ", " s3cret "),
]


@pytest.mark.parametrize(("name", "text", "value"), GOOD_INPUT)
def test_good_input_becomes_a_typed_value(rich: ModuleInterface, name: str, text: str | None, value: Any) -> None:
    form = posted(launch_form_class(rich), **{"must": "here", name: text})
    assert form.is_valid(), form.errors
    assert form.values()[name] == value
    assert type(form.values()[name]) is type(value)
    assert json.loads(json.dumps(form.values())) == form.values()


def test_an_emptied_text_with_a_default_falls_back_to_it(rich: ModuleInterface) -> None:
    form = posted(launch_form_class(rich), must="here", count="", colour="")
    assert form.is_valid(), form.errors
    assert not {"count", "colour"} & form.values().keys()


def test_the_form_and_the_api_say_the_same(notebook: ModuleInterface) -> None:
    values = {"cpu": 0.3, "memory_gb": 999, "repository": "ftp://x", "environment_variables": {"1": "x"}}
    form = posted(
        launch_form_class(notebook), cpu="0.3", memory_gb="999", repository="ftp://x", environment_variables="1=x"
    )
    _, errors = inputs_clean(notebook, values)
    assert form.errors == errors
    assert set(errors) == set(values)


@pytest.mark.parametrize("revision", ["v1.2", "feature/lr-0.1", "ab" * 20, "main", "release+1"])
def test_a_revision_is_a_commit_a_tag_or_a_branch(notebook: ModuleInterface, revision: str) -> None:
    data = {"repository": "https://git.example/a.git", "revision": revision}
    assert inputs_clean(notebook, data) == (data, {})


@pytest.mark.parametrize("revision", ["-b", "--upload-pack=id", "a b", "main@{1}", "x" * 201, "v1^", "a;b"])
def test_what_git_would_read_as_more_than_a_revision_is_refused(notebook: ModuleInterface, revision: str) -> None:
    data = {"repository": "https://git.example/a.git", "revision": revision}
    _, errors = inputs_clean(notebook, data)
    assert list(errors) == ["revision"]


def test_a_revision_wants_its_repository(notebook: ModuleInterface) -> None:
    _, errors = inputs_clean(notebook, {"revision": "main"})
    assert errors == {"revision": ["Give the Git repository as well."]}


# (what a client of the API sends, the field it is told about, the words)
BAD_DATA = [
    ({"cpus": 1}, "cpus", "There is no input called “cpus”. Did you mean “cpu”?"),
    ({"cpu": "1"}, "cpu", "Enter a number."),
    ({"cpu": True}, "cpu", "Enter a number."),
    ({"cpu": float("inf")}, "cpu", "Enter a finite number."),
    ({"cpu": [1]}, "cpu", "Enter a number."),
    ({"repository": 5}, "repository", "Enter text."),
    ({"environment_variables": []}, "environment_variables", "Enter names with values (an object)."),
    ({"environment_variables": {"A": None}}, "environment_variables", "A: A value is missing here."),
    ({"slipway": {}}, "slipway", "This is filled in by Slipway and cannot be chosen."),
    ({"x" * 5_000: 1}, "x" * 100, "There is no input called"),
    ({"environment_variables": {f"A{n}": "x" * 9_999 for n in range(40)}}, "", "may have at most 256 KB"),
]


@pytest.mark.parametrize(("data", "name", "message"), BAD_DATA)
def test_bad_data_is_explained_by_field(
    notebook: ModuleInterface, data: dict[str, Any], name: str, message: str
) -> None:
    _, errors = inputs_clean(notebook, data)
    assert list(errors) == [name]
    assert message in errors[name][0]


def test_null_falls_back_to_the_default_where_a_variable_is_not_nullable(notebook: ModuleInterface) -> None:
    assert inputs_clean(notebook, {"cpu": None, "repository": None}) == ({"repository": None}, {})


def test_fixed_inputs_have_no_field_and_end_up_in_the_values(notebook: ModuleInterface) -> None:
    form = posted(launch_form_class(notebook, fixed={"cpu": 4}))
    assert "cpu" not in form.fields
    assert form.values()["cpu"] == 4
    assert inputs_clean(notebook, {"cpu": 4}, fixed={"cpu": 4}) == ({"cpu": 4}, {})
    assert "fixed by the platform engineers" in inputs_clean(notebook, {"cpu": 5}, fixed={"cpu": 4})[1]["cpu"][0]


def test_hidden_inputs_cannot_be_set(tmp_path: Path) -> None:
    found = interface_of(tmp_path, variable("a", "string", 'default = "x"'), manifest="inputs: {a: {hidden: true}}")
    assert list(launch_form_class(found)().fields) == []
    assert list(inputs_clean(found, {"a": "y"})[1]) == ["a"]


def test_rules_across_variables_see_defaults(tmp_path: Path) -> None:
    rule = ("var.high >= var.low", "Has to be at least ${var.low}.")
    source = [variable("low", "number", "default = 5"), variable("high", "number", "default = 9", rules=(rule,))]
    found = interface_of(tmp_path, *source)
    assert inputs_clean(found, {"high": 4})[1] == {"high": ["Has to be at least 5."]}
    assert inputs_clean(found, {"high": 4, "low": 1})[1] == {}
    assert inputs_clean(found, {"high": 4, "low": "x"})[1] == {"low": ["Enter a number."]}


def test_a_rule_the_portal_cannot_evaluate_is_left_to_terraform(tmp_path: Path) -> None:
    rule = ('timecmp(var.day, "2030-01-01T00:00:00Z") < 0', "Before 2030.")
    found = interface_of(tmp_path, variable("day", "string", 'default = ""', rules=(rule,)))
    assert inputs_clean(found, {"day": "2031-01-01T00:00:00Z"})[1] == {}


def test_optional_attributes_are_there_for_the_rules_but_not_in_the_values(tmp_path: Path) -> None:
    of = 'object({size=number, tags=optional(list(string), ["a"])})'
    rule = ('contains(var.disk.tags, "a")', "Needs the tag a.")
    found = interface_of(tmp_path, variable("disk", of, rules=(rule,)))
    assert inputs_clean(found, {"disk": {"size": 1}}) == ({"disk": {"size": 1}}, {})
    assert inputs_clean(found, {"disk": {"size": 1, "tags": ["b"]}})[1] == {"disk": ["Needs the tag a."]}


SECRET = "hunter2-not-for-eyes"


@pytest.mark.parametrize("text", [SECRET, f"A={SECRET}", f"{{{SECRET}", f"{SECRET}\n{SECRET}"])
def test_a_sensitive_value_is_never_shown_again(rich: ModuleInterface, text: str) -> None:
    linked = {"token": SECRET, "keys": {"A": SECRET}}
    form = posted(launch_form_class(rich), must="", token=text, keys=text)
    assert SECRET not in str(form)
    assert SECRET not in json.dumps(form.errors)
    assert SECRET not in str(launch_form_class(rich)(initial=linked))


def test_a_rule_of_a_sensitive_variable_does_not_quote_it(tmp_path: Path) -> None:
    rule = ("length(var.pin) == 4", "${var.pin} is not four digits.")
    found = interface_of(tmp_path, variable("pin", "string", "sensitive = true", rules=(rule,)))
    assert inputs_clean(found, {"pin": SECRET})[1] == {"pin": ["This value of “Pin” is not accepted."]}


def test_a_stored_secret_stays_when_its_field_is_left_empty(tmp_path: Path) -> None:
    found = interface_of(tmp_path, variable("pin", "string", "sensitive = true"), variable("a", "string"))
    form_class = launch_form_class(found, kept={"pin"})
    assert not form_class()["pin"].field.required
    form = form_class({"a": "x", "pin": ""})
    assert form.is_valid(), form.errors
    assert form.values() == {"a": "x"}
    assert form_class({"a": "x", "pin": "new"}).values() == {"a": "x", "pin": "new"}


def test_a_link_fills_fields_and_cannot_break_them(rich: ModuleInterface) -> None:
    link = {"count": "7", "flag": "false", "names": "a\nb", "ratio": "much", "token": SECRET, "nonsense": "x"}
    form = launch_form_class(rich)(initial=link)
    assert form["count"].value() == "7"
    assert form["flag"].value() is False
    assert form["names"].value() == "a\nb"
    assert form["ratio"].value() == ""
    assert SECRET not in str(form)


def test_a_variable_may_be_called_like_a_part_of_the_form(tmp_path: Path) -> None:
    names = ["data", "files", "fields", "errors", "values", "clean", "interface", "prefix"]
    found = interface_of(tmp_path, *(variable(name, "string", 'default = "x"') for name in names))
    form = posted(launch_form_class(found))
    assert form.is_valid(), form.errors
    assert form.values() == dict.fromkeys(names, "x")
    assert list(form.fields) == names


def test_errors_in_more_settings_unfold_them(rich: ModuleInterface) -> None:
    assert not posted(launch_form_class(rich), must="x").more_fields_open()
    assert posted(launch_form_class(rich), must="x", count="0").more_fields_open()


# Text as a form keeps it: trimmed, with Unix line ends, in NFC and not empty.
plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20)
words = plain.map(str.strip)
numbers = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1), st.floats(-1e15, 1e15).map(lambda x: int(x) if x == int(x) else x)
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, plain), lambda inner: st.lists(inner, max_size=3), max_leaves=6
)
some_values = st.fixed_dictionaries(
    {
        "must": words.filter(bool),
        "count": st.floats(1, 9).map(lambda x: int(x) if x == int(x) else x),
        "ratio": st.none() | numbers,
        "flag": st.booleans(),
        "tri": st.none() | st.booleans(),
        "colour": st.sampled_from(["red", "blue"]),
        "size": st.sampled_from([2, 4]),
        "names": st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8), max_size=4),
        "ports": st.lists(numbers, max_size=4, unique=True),
        "labels": st.dictionaries(plain, plain, max_size=4),
        "disk": st.none() | st.fixed_dictionaries({"size": numbers, "tags": st.lists(plain, max_size=2)}),
        "free": json_values,
    }
)


@settings(deadline=None)
@given(values=some_values)
@example(
    values={
        "size": 2, "must": "0", "count": 1, "ratio": None, "flag": False, "tri": None, "colour": "red",
        "names": ["0\r0"], "ports": [], "labels": {}, "disk": None, "free": None,
    }
)  # fmt: skip
def test_what_is_shown_is_read_back_as_the_same(rich: ModuleInterface, values: dict[str, Any]) -> None:
    normal, errors = inputs_clean(rich, values)
    assert errors == {}
    form_class = launch_form_class(rich)
    shown = form_class(initial=normal)
    data = {bound.name: bound.value() for bound in shown if bound.value() is not False}
    form = form_class({name: "on" if value is True else value for name, value in data.items()})
    assert form.is_valid(), form.errors
    assert {name: form.values()[name] for name in normal} == normal


@settings(deadline=None)
@given(
    data=st.dictionaries(st.sampled_from(["must", "count", "names", "labels", "disk", "free", "ports"]), json_values)
)
def test_no_data_breaks_the_check_and_what_passes_once_passes_again(
    rich: ModuleInterface, data: dict[str, Any]
) -> None:
    values, errors = inputs_clean(rich, data)
    if not errors:
        assert inputs_clean(rich, values) == (values, {})


@settings(deadline=None)
@given(text=st.text(max_size=60), name=st.sampled_from(["must", "count", "names", "labels", "disk", "free", "tri"]))
def test_no_text_breaks_the_form(rich: ModuleInterface, text: str, name: str) -> None:
    form = launch_form_class(rich)({"must": "x", name: text})
    assert form.is_valid() or name in form.errors
    str(form)
