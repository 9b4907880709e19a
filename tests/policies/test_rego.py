"""Rego that is wrong, endless or greedy, and rules that disagree."""

import time
from typing import Any

import pytest

from apps.policies.examples import EXAMPLES, example
from apps.policies.findings import findings_of
from apps.policies.rego import Answer, Question, rego_ask
from apps.policies.rego_check import rego_problems

HEAD = "package slipway\n"
ENDLESS = """deny contains x if {
	some i in numbers.range(1, 3000)
	some j in numbers.range(1, 3000)
	x := sprintf("%d-%d", [i, j])
}
"""
FINE = 'deny contains "fine"'


def ask(*texts: str, asked: Any = None, **options: Any) -> list[Answer]:
    return rego_ask([Question(HEAD + text, asked or {"a": 1}) for text in texts], **options)


def test_what_is_endless_is_ended_and_the_next_one_is_asked() -> None:
    began = time.monotonic()
    endless, fine = ask(ENDLESS, FINE, seconds=0.5)
    assert endless.error == "It took more than 0.5 s."
    assert fine.effects["deny"] == ["fine"]
    assert time.monotonic() - began < 10


def test_what_needs_all_memory_is_ended() -> None:
    big = 'big := concat("", [c | some i in numbers.range(1, 20000); c := sprintf("%2000d", [i])])\n'
    greedy = big + f'deny contains concat("", [{", ".join(["big"] * 14)}])'
    answers = ask(greedy, FINE, seconds=20)
    assert answers[0].error == "It needs more memory than it may have."
    assert answers[1].effects["deny"] == ["fine"]


def test_what_finds_megabytes_is_ended() -> None:
    long = 'deny contains concat("", [c | some i in numbers.range(1, 5000); c := sprintf("%2000d", [i])])'
    assert ask(long, seconds=20)[0].error == "It found too much to be told."


def test_the_environment_of_the_portal_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a-secret-of-the-portal")
    told = str(ask('deny contains sprintf("%v", [opa.runtime().env])')[0].effects)
    assert "LANG" in told
    assert "a-secret-of-the-portal" not in told


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('deny contains "x" if to_number("z")', ""),
        ('deny contains "x" if missing(1)', "Function not found: missing."),
        ("deny := 3", "“deny” has to be a set: write deny contains {…} if {…}."),
        ('deny contains "x" if http.send({})', ""),
        ("a if b\nb if a\ndeny contains 1 if a", "Recursion detected in rule body: data.slipway.a."),
    ],
)
def test_an_error_is_no_silence(text: str, error: str) -> None:
    answer = ask(text)[0]
    assert answer.error
    assert not answer.effects
    assert not error or answer.error == error or error.partition(":")[0] in answer.error


def test_what_is_undefined_finds_nothing() -> None:
    assert ask('deny contains "x" if input.b.c == 1')[0].effects == {"deny": [], "warn": [], "require_approval": []}


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 0, 0, "Write the rules"),
        ("package main\ndeny contains 1", 1, 9, "package slipway"),
        (HEAD + 'deny contains "é" if {\n\tinput.a == == 1\n}', 3, 10, "operator"),
        (HEAD + 'deny contains "x" if {', 2, 22, "unclosed"),
        (HEAD + 'deny contains "x" if http.send({"url": "x"}).status == 1', 2, 22, "not available"),
        (HEAD + 'deny contains "x" if opa.runtime().env', 2, 22, "not available"),
        (HEAD + 'deny contains "x" if net.lookup_ip_addr("x")', 2, 22, "not available"),
        (HEAD + 'deny contains "x" if foo(1)', 2, 22, "no function “foo”"),
        (HEAD + 'deny contains "x" if imput.a == 1', 2, 22, "“imput”"),
        (HEAD + "x := 1", 0, 0, "define deny or warn"),
        (HEAD + "deny := true", 0, 0, "has to be a set"),
        (HEAD + 'deny[msg] { msg := "x" }', 0, 0, "has to be a set"),
        (HEAD + "# " + "x" * 70_000, 0, 0, "64 KB"),
    ],
)
def test_what_would_never_hold_is_refused_with_its_place(text: str, line: int, column: int, words: str) -> None:
    problem = rego_problems(text)[0]
    assert words in str(problem)
    assert (problem.line, problem.column) == (line, column)


@pytest.mark.parametrize(
    "text",
    [
        'a := "http.send(" # foo(1) imput.x\ndeny contains "x" if a == `opa.runtime()`',
        "import rego.v1\nimport future.keywords.in\ndeny contains x if { some x in input.y }",
        'deny contains m if { input.plan.resource_changes[i].type == "x"; m := "a" }',
        'f(x) := y if { y := x + 1 }\nwarn contains "x" if f(input.a) == data.slipway.b\nb := 2',
        'require_approval contains "x" if { every x in input.y { x > 0 } }',
    ],
)
def test_what_is_sound_is_taken(text: str) -> None:
    assert [str(problem) for problem in rego_problems(HEAD + text)] == []


def test_findings_are_bounded_and_of_one_shape() -> None:
    answer = Answer(
        effects={
            "deny": [
                "plain",
                {"msg": "m" * 5000, "rule": 7, "cure": None, "address": ["a"]},
                {"no": "msg"},
                3,
                "plain",
            ],
            "warn": [{"msg": "two\nlines\x00", "rule": "w"}],
            "require_approval": [{"msg": "big", "cure": "Ask Mira."}],
        }
    )
    found = findings_of("p", answer)
    assert [one.message[:5] for one in found] == ["plain", "mmmmm", "This ", "3", "two l", "big"]
    assert all(len(one.message) <= 400 for one in found)
    assert found[0].cure.startswith("Change the settings")
    assert found[4].message == "two lines"
    assert found[5].cure == "Ask Mira. There are no approvals yet, so this only warns."
    assert len(findings_of("p", Answer(effects={"deny": [str(n) for n in range(500)]}))) == 50


def change(kind: str, address: str, actions: list[str], after: Any) -> dict[str, Any]:
    return {"address": address, "type": kind, "change": {"actions": actions, "after": after}}


def found_by(slug: str, changes: list[dict[str, Any]], **request: Any) -> list[str]:
    chosen = example(slug)
    assert chosen
    answer = rego_ask([Question(chosen.rego, {"plan": {"resource_changes": changes}, "request": request})])[0]
    assert not answer.error, answer.error
    return sorted(f"{one.effect} {one.rule} {one.address}" for one in findings_of(slug, answer))


@pytest.mark.parametrize("one", EXAMPLES, ids=lambda one: one.slug)
def test_examples_are_sound(one: Any) -> None:
    assert rego_problems(one.rego) == []


def test_example_of_public_buckets() -> None:
    acl, block = "aws_s3_bucket_acl", "aws_s3_bucket_public_access_block"
    closed = dict.fromkeys(
        ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"), True
    )
    assert found_by("no-public-buckets", [change(acl, "a", ["create"], {"acl": "public-read"})]) == [
        "deny public-bucket a"
    ]
    assert found_by(
        "no-public-buckets", [change(block, "b", ["update"], {**closed, "block_public_policy": False})]
    ) == ["deny public-access-block b"]
    harmless = [
        change(acl, "a", ["create"], {"acl": "private"}),
        change(block, "b", ["create"], closed),
        change("aws_s3_bucket", "c", ["delete"], None),
    ]
    assert found_by("no-public-buckets", harmless) == []


@pytest.mark.parametrize(
    ("memory", "team", "found"),
    [
        (64, "vision", []),
        (65, "vision", ["deny large-memory "]),
        (65, "research", []),
        (129, "research", ["warn very-large-memory "]),
    ],
)
def test_example_of_memory(memory: int, team: str, found: list[str]) -> None:
    assert found_by("large-memory", [], inputs={"memory_gb": memory}, team=team) == found


def test_example_of_tags() -> None:
    both = {"team": "vision", "cost_centre": "1"}
    changes = [
        change("aws_x", "none", ["create"], {"tags": None}),
        change("aws_x", "half", ["update"], {"tags": {"team": "vision", "cost_centre": ""}}),
        change("aws_x", "all", ["create"], {"tags": None, "tags_all": both}),
        change("random_id", "untaggable", ["create"], {"x": 1}),
        change("aws_x", "gone", ["delete"], None),
    ]
    assert found_by("required-tags", changes) == ["deny required-tags half"] + ["deny required-tags none"] * 2
