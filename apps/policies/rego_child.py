"""Evaluates rules of the platform team in a process of its own: run as a script, without the portal's environment.

Rego's interpreter cannot be interrupted, and `opa.runtime` hands out the environment of its process. So it gets a
process without one, with limits, which is killed when it takes too long. One line of JSON comes in per question
(`{"rego", "input"}`, the input being JSON text), one goes out per answer.
"""

import json
import os
import re
import resource
import signal
import sys
from typing import Any

EFFECTS = ("deny", "warn", "require_approval")
MOST_FINDINGS = 200
_PLACE = re.compile(r"\(error \d+:policy\.rego\|(\d+)\|\d+\s+\(errormsg \d+:(.*?)\)\n", re.DOTALL)
_MESSAGE = re.compile(r"\(errormsg \d+:(.*?)\)\n", re.DOTALL)


def main() -> None:
    """The first line says the limits, every further one is a question."""
    # What the interpreter prints goes nowhere; answers leave by the first descriptor.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    limits = json.loads(sys.stdin.readline())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits["output_bytes"], limits["output_bytes"]))
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass
    for line in sys.stdin:
        # Not handled on purpose: the alarm ends the process, and which question it was is the first without an answer.
        signal.setitimer(signal.ITIMER_REAL, limits["seconds"])
        question = json.loads(line)
        answer = ask(question["rego"], question["input"])
        signal.setitimer(signal.ITIMER_REAL, 0)
        out.write(json.dumps(answer) + "\n")
        out.flush()


def ask(rego: str, term: str) -> dict[str, Any]:
    """`{"effects": {effect: [...]}}`, or `{"error", "offset"?}`; the offset counts bytes of the rules."""
    from regopy import Input, Interpreter
    from regopy.rego_shared import RegoError

    interpreter = Interpreter()
    # An error of a built-in is an error of the rule, not silence: what cannot be decided must not pass.
    interpreter.strict_built_in_errors = True
    try:
        interpreter.add_module("policy.rego", rego)
        interpreter.set_input(Input(json.loads(term)))
        effects: dict[str, Any] = {}
        for effect in EFFECTS:
            output = _query(interpreter, f"data.slipway.{effect}")
            if isinstance(output, str):
                return {"error": output}
            effects[effect] = output
    except RegoError as error:
        return _refused(str(error))
    except (RecursionError, MemoryError):
        return {"error": "It needs more memory than it may have."}
    return {"effects": effects}


def _query(interpreter: Any, query: str) -> Any:
    """The members of a set of findings, nothing where the rule is undefined; text says what went wrong."""
    try:
        output = interpreter.query(query)
    except json.JSONDecodeError as error:
        found = _MESSAGE.search(error.doc)
        return _sentence(found[1] if found else "It could not be evaluated")
    if not output.ok():
        return _sentence(_error_message(output) or "A function was given what it cannot take")
    if not len(output) or not output[0].expressions:
        return []
    value = output[0].expressions[0]
    if not isinstance(value, list):
        name = query.rpartition(".")[2]
        return f"“{name}” has to be a set: write {name} contains {{…}} if {{…}}."
    return value[:MOST_FINDINGS]


def _error_message(output: Any) -> str:
    from regopy import NodeKind
    from regopy.rego_shared import rego_node_value

    def look(node: Any) -> str:
        if node.kind == NodeKind.ErrorMessage:
            return str(rego_node_value(node._impl))
        return next(filter(None, (look(node.at(i)) for i in range(len(node)))), "")

    try:
        return look(output.node())
    except Exception:
        return ""


def _refused(text: str) -> dict[str, Any]:
    """The interpreter's own tree of errors: the first one, and where it is."""
    if found := _PLACE.search(text + "\n"):
        return {"error": _sentence(found[2]), "offset": int(found[1])}
    found = _MESSAGE.search(text + "\n")
    return {"error": _sentence(found[1] if found else text[:200])}


def _sentence(text: str) -> str:
    text = " ".join(text.split())[:300]
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


if __name__ == "__main__":
    main()
