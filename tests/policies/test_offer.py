"""What input policies make of a module's interface, and what is refused when they are saved."""

from typing import Any

import pytest

from apps.catalog.interface.model import (
    ModuleInterface,
    Option,
    Presentation,
    Preset,
    TimeToLive,
    Variable,
)
from apps.catalog.interface.type_constraints import TerraformType
from apps.policies.offer import Offer, offer_make
from apps.policies.rules import rules_problems

NUMBER, TEXT = TerraformType("number"), TerraformType("string")


def interface(*more: Variable, **changed: Any) -> ModuleInterface:
    variables = (
        Variable("memory_gb", NUMBER, has_default=True, default=4, presentation=Presentation(label="Memory (GB)")),
        Variable("region", TEXT, presentation=Presentation(options=(Option("eu", "Europe"), Option("us", "America")))),
        Variable("note", TEXT, has_default=True, default=None),
        Variable("tags", TerraformType("map", element=TEXT), has_default=True, default={}),
        Variable("key", TEXT, has_default=True, default="", sensitive=True),
        Variable("slipway", TerraformType("any")),
        *more,
    )
    fields = {
        "slug": "m", "title": "M", "version": "1.0.0", "kind": "notebook", "target": "local", "icon": "", "summary": "",
        "readme": "", "ttl": TimeToLive(60, 600), "default_preset": "small", "applications": (), "resource_labels": {},
        "files_lost_on_destroy": False, "variables": variables, "outputs": (), "required_version": "",
        "required_providers": {},
        "presets": (Preset("small", "Small", {"memory_gb": 2}), Preset("large", "Large", {"memory_gb": 64})),
    }  # fmt: skip
    return ModuleInterface(**{**fields, **changed})


def offer(rules: Any, **options: Any) -> Offer:
    assert rules_problems(interface(), rules) == {}
    return offer_make(interface(), rules, **options)


def test_without_rules_it_is_the_module() -> None:
    assert offer({}).interface == interface()


def test_a_fixed_value_is_shown_and_wins_over_sizes_and_links() -> None:
    made = offer({"memory_gb": {"fix": 8}})
    assert made.clean({"region": "eu"})[0] == {"memory_gb": 8, "region": "eu"}
    assert [preset.inputs for preset in made.interface.presets] == [{"memory_gb": 8}, {"memory_gb": 8}]
    assert made.obeyed({"memory_gb": 64, "region": "eu"}) == {"region": "eu"}
    assert made.fixed_shown() == [{"label": "Memory (GB)", "value": "8", "note": "Set by your platform team."}]
    assert "memory_gb" in made.clean({"region": "eu", "memory_gb": 4})[1]


def test_a_hidden_variable_is_not_asked_for() -> None:
    made = offer({"region": {"hide": True, "value": "eu"}, "note": {"hide": True}})
    assert [variable.name for variable in made.interface.inputs] == ["memory_gb", "tags", "key"]
    assert made.clean({})[0] == {"region": "eu"}
    assert made.clean({"note": "x"})[1].keys() == {"note"}


def test_options_leave_the_labels_of_the_module() -> None:
    made = offer({"region": {"options": ["eu"]}, "memory_gb": {"options": [4, 8], "default": 8}})
    assert made.interface.variable("region").presentation.options == (Option("eu", "Europe"),)  # type: ignore[union-attr]
    assert made.clean({"region": "eu"})[0] == {"memory_gb": 8, "region": "eu"}
    errors = made.clean({"region": "us", "memory_gb": 4})[1]
    assert errors == {"region": ["Choose one of: Europe. Set by your platform team."]}
    assert [preset.inputs for preset in made.interface.presets] == [{"memory_gb": 8}, {"memory_gb": 8}]


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        ({"maximum": 16}, 17, "Choose at most 16. Set by your platform team."),
        ({"minimum": 3}, 2.5, "Choose at least 3. Set by your platform team."),
        ({"minimum": 3, "maximum": 16}, 16, ""),
    ],
)
def test_bounds_of_numbers(rule: dict[str, Any], value: float, message: str) -> None:
    made = offer({"memory_gb": rule})
    assert made.clean({"region": "eu", "memory_gb": value})[1] == ({"memory_gb": [message]} if message else {})


def test_a_size_above_the_bound_becomes_the_bound_and_says_so() -> None:
    made = offer({"memory_gb": {"maximum": 16}})
    assert [preset.inputs["memory_gb"] for preset in made.interface.presets] == [2, 16]
    assert made.obeyed({"memory_gb": 64}) == {"memory_gb": 16}
    assert made.interface.variable("memory_gb").description == "At most 16. Set by your platform team."  # type: ignore[union-attr]


def test_bounds_of_text_and_maps() -> None:
    made = offer({"note": {"longest": 3}, "tags": {"longest": 1}})
    errors = made.clean({"region": "eu", "note": "four", "tags": {"a": "1", "b": "2"}})[1]
    assert errors.keys() == {"note", "tags"}
    assert made.clean({"region": "eu", "note": None})[1] == {}


def test_a_default_is_for_new_environments_only() -> None:
    assert offer({"memory_gb": {"default": 2}}).clean({"region": "eu"})[0]["memory_gb"] == 2
    assert "memory_gb" not in offer({"memory_gb": {"default": 2}}, existing=["memory_gb"]).clean({"region": "eu"})[0]


def test_what_an_environment_has_against_the_rules_is_told() -> None:
    made = offer({"memory_gb": {"maximum": 16}, "region": {"fix": "eu"}})
    assert made.broken({"memory_gb": 64, "region": "us"}) == [
        "Memory (GB) is 64 now. Choose at most 16.",
        "Region is us now and becomes eu.",
    ]


def test_a_variable_of_a_set_is_neither_asked_for_nor_stored() -> None:
    made = offer_make(interface(), {"region": {"fix": "eu"}}, sets={"region": "Cloud", "other": "Cloud"})
    assert (made.given, made.fixed) == ({"region"}, {})
    assert made.clean({}) == ({}, {})
    assert made.clean({"region": "us"})[1].keys() == {"region"}
    assert made.notes["region"] == "Filled in from the variable set “Cloud”."


@pytest.mark.parametrize(
    ("rules", "name", "words"),
    [
        ({"gone": {"fix": 1}}, "gone", "has no variable"),
        ({"slipway": {"hide": True}}, "slipway", "filled in by Slipway"),
        ({"key": {"fix": "x"}}, "key", "variable set"),
        ({"memory_gb": {}}, "memory_gb", "at least one of"),
        ({"memory_gb": 4}, "memory_gb", "at least one of"),
        ({"memory_gb": {"fix": "four"}}, "memory_gb", "number"),
        ({"memory_gb": {"fix": 4, "maximum": 8}}, "memory_gb", "nothing else"),
        ({"memory_gb": {"hide": True, "maximum": 8}}, "memory_gb", "cannot be chosen"),
        ({"memory_gb": {"hide": False}}, "memory_gb", "true"),
        ({"memory_gb": {"value": 4}}, "memory_gb", "“hide”"),
        ({"region": {"hide": True}}, "region", "needs a value"),
        ({"region": {"options": ["mars"]}}, "region", "mars"),
        ({"region": {"options": []}}, "region", "at least one option"),
        ({"region": {"options": ["eu", "eu"]}}, "region", "twice"),
        ({"region": {"options": ["eu"], "default": "us"}}, "region", "default"),
        ({"region": {"minimum": 1}}, "region", "numbers"),
        ({"tags": {"options": [{}]}}, "tags", "text and numbers"),
        ({"memory_gb": {"options": [4], "maximum": 8}}, "memory_gb", "together"),
        ({"memory_gb": {"options": [8]}}, "memory_gb", "own default, 4"),
        ({"memory_gb": {"minimum": 9, "maximum": 8}}, "memory_gb", "above the maximum"),
        ({"memory_gb": {"maximum": 3}}, "memory_gb", "own default, 4"),
        ({"memory_gb": {"maximum": 8, "default": 9}}, "memory_gb", "default does not keep"),
        ({"memory_gb": {"maximum": float("inf")}}, "memory_gb", "number"),
        ({"memory_gb": {"maximum": True}}, "memory_gb", "number"),
        ({"memory_gb": {"longest": 3}}, "memory_gb", "text and lists"),
        ({"note": {"longest": 0}}, "note", "whole number"),
        ({"note": {"most": 1}}, "note", "no “most”"),
        ([], "", "object of rules"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(rules: Any, name: str, words: str) -> None:
    problems = rules_problems(interface(), rules)
    assert list(problems) == [name]
    assert words in " ".join(problems[name])


def test_rules_that_a_newer_version_cannot_keep_are_left_out() -> None:
    newer = interface(variables=(Variable("memory_gb", TEXT, has_default=True, default="4"),))
    made = offer_make(newer, {"memory_gb": {"maximum": 8}, "region": {"fix": "eu"}})
    assert made.ignored.keys() == {"memory_gb", "region"}
    assert made.interface.variables == newer.variables
    assert made.clean({}) == ({}, {})
