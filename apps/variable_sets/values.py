"""Checking what is to be kept: names by kind, and values as Terraform will get them."""

import json
from typing import Any, Final

from apps.accounts.models import User
from apps.core.api.parsers import json_problem
from apps.variable_sets.given import SHORTEST_SECRET
from apps.variable_sets.models import SetVariable
from apps.variable_sets.names import (
    environment_name_problem,
    file_name_problem,
    pointer_problem,
    terraform_name_problem,
)

Kind = SetVariable.Kind
Errors = dict[str, list[str]]


class _Unset:
    """No value was given: the stored one stays."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()

# The kernel gives a program at most 128 KiB in one variable; all of them share what one command may have.
LONGEST = {Kind.ENVIRONMENT: 16 * 1024, Kind.FILE: 128 * 1024, Kind.TERRAFORM: 64 * 1024}


def name_problems(actor: User, *, name: str, kind: str, environment_variable: str) -> Errors:
    """Messages by field; empty where the names are fine. Managers may neither give files nor point to one."""
    if kind not in Kind.values:
        return {"kind": [f"Choose one of: {', '.join(Kind.values)}."]}
    errors: Errors = {}
    if kind == Kind.TERRAFORM:
        problem = terraform_name_problem(name)
    elif kind == Kind.FILE:
        problem = file_name_problem(name)
        if not environment_variable:
            pointing = "Name the variable that holds the file's path, for example GOOGLE_APPLICATION_CREDENTIALS."
        else:
            pointing = environment_name_problem(environment_variable)
        if pointing:
            errors["environment_variable"] = [pointing]
    else:
        problem = environment_name_problem(name)
    if problem:
        errors["name"] = [problem]
    if not actor.is_platform_engineer:
        if kind == Kind.FILE:
            errors["kind"] = ["A platform engineer gives files: they may name programs to run."]
        elif kind == Kind.ENVIRONMENT and not problem and (pointing := pointer_problem(name)):
            errors["name"] = [pointing]
    return errors


def value_clean(value: Any, *, kind: str, sensitive: bool, known: SetVariable | None) -> tuple[Any, Errors]:
    """The value to keep, or UNSET for the stored one, and messages. No message repeats what was given."""
    if value is UNSET or (value == "" and known is not None):
        if known is None:
            return UNSET, {"value": ["Give it a value."]}
        if known.sensitive and not sensitive:
            return UNSET, {"value": ["Set the value anew: the one that is stored was given as a secret and stays one."]}
        return UNSET, {}
    if kind not in Kind.values:
        return UNSET, {}
    if kind == Kind.TERRAFORM:
        value, problem = _terraform_value(value)
    else:
        value, problem = _text_value(value, kind)
    problem = problem or _secret_problem(value, sensitive)
    return (UNSET, {"value": [problem]}) if problem else (value, {})


def _text_value(value: Any, kind: str) -> tuple[Any, str]:
    if not isinstance(value, str):
        return UNSET, "Give a text."
    text = value.replace("\r\n", "\n")
    if kind == Kind.ENVIRONMENT:
        # A line break that came along with a copied value breaks every header it is put into.
        text = text.strip()
    if not text.strip():
        return UNSET, "Give it a value."
    if "\x00" in text:
        return UNSET, "A value cannot hold the NUL character."
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST[Kind(kind)]:
        return UNSET, f"At most {LONGEST[Kind(kind)] // 1024} KB."
    return text, ""


def _terraform_value(value: Any) -> tuple[Any, str]:
    """Lists and objects may come as JSON; every other text is that text, which Terraform turns into a number itself."""
    if isinstance(value, str):
        text = value.replace("\r\n", "\n").strip()
        if text.startswith(("{", "[")):
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                return UNSET, "This begins like JSON, but it is not: check brackets, commas and quotation marks."
        else:
            value = text
    if value is None or value == "":
        return UNSET, "Give it a value."
    if problem := json_problem(value):
        return UNSET, problem
    if len(json.dumps(value)) > LONGEST[Kind.TERRAFORM]:
        return UNSET, f"At most {LONGEST[Kind.TERRAFORM] // 1024} KB."
    return value, ""


def _secret_problem(value: Any, sensitive: bool) -> str:
    if sensitive and isinstance(value, str | int | float) and len(str(value)) < SHORTEST_SECRET:
        return (
            f"A secret has at least {SHORTEST_SECRET} characters: a shorter one stands in too many places to be "
            "hidden. If it is none, say that it may be read."
        )
    return ""
