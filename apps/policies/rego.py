"""Asking rules written in Rego, with limits of time, memory and output, and never in this process."""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import psutil

log = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("rego_child.py")
EFFECTS = ("deny", "warn", "require_approval")
SECONDS = 5.0
MEMORY_BYTES = 512 * 1024 * 1024
OUTPUT_BYTES = 4 * 1024 * 1024
INPUT_BYTES = 16 * 1024 * 1024
LOOK_EVERY = 0.01
# To begin a process and load the interpreter, on a machine that does other work.
START_SECONDS = 10.0

TOO_SLOW = "It took more than {seconds:g} s."
TOO_BIG = "It needs more memory than it may have."
TOO_LONG = "It found too much to be told."
BROKEN = "The process that evaluates it ended."
INPUT_TOO_BIG = "The plan is larger than what rules can be asked about."


@dataclass(frozen=True)
class Question:
    """Rules and what they are asked about."""

    rego: str
    asked: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the rules said by effect, or why they could not be asked; `line` and `column` count from 1."""

    effects: dict[str, list[Any]] = field(default_factory=dict)
    error: str = ""
    line: int = 0
    column: int = 0


def rego_ask(
    questions: Sequence[Question], *, seconds: float = SECONDS, total_seconds: float | None = None
) -> list[Answer]:
    """One answer per question, in order. `seconds` is what each may take, `total_seconds` all of them together."""
    deadline = time.monotonic() + (total_seconds or seconds * len(questions) + START_SECONDS)
    answers: list[Answer] = []
    while len(answers) < len(questions):
        left = deadline - time.monotonic()
        if left <= 0:
            answers += [Answer(error="There was no time left to ask it.")] * (len(questions) - len(answers))
            break
        answers += _round(questions[len(answers) :], seconds, left)
    return answers


def _round(questions: Sequence[Question], seconds: float, left: float) -> list[Answer]:
    """One process; where it ends before its last answer, the next question is the one that ended it."""
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as told:
        taken = _write(asked, questions, seconds)
        reason = _run(asked, told, seconds, left) if taken else ""
        told.seek(0)
        answers = [_read(line, question) for line, question in zip(told, questions, strict=False) if line[-1:] == b"\n"]
    if len(answers) < taken:
        answers.append(Answer(error=reason or BROKEN))
    elif taken < len(questions):
        answers.append(Answer(error=INPUT_TOO_BIG))
    return answers


def _write(file: BinaryIO, questions: Sequence[Question], seconds: float) -> int:
    """How many questions were written: up to the first whose input is too large."""
    file.write(json.dumps({"seconds": seconds, "output_bytes": OUTPUT_BYTES}).encode() + b"\n")
    count = 0
    for question in questions:
        term = json.dumps(question.asked)
        if len(term) > INPUT_BYTES:
            break
        file.write(json.dumps({"rego": question.rego, "input": term}).encode() + b"\n")
        count += 1
    file.seek(0)
    return count


def _run(asked: BinaryIO, told: BinaryIO, seconds: float, left: float) -> str:
    """Runs the process to its end or its limits; why it was ended, where it was."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-B", str(CHILD)],
        stdin=asked,
        stdout=told,
        stderr=subprocess.DEVNULL,
        # Nothing of the portal's: a rule could read it.
        env={"LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )
    deadline = time.monotonic() + left
    reason = ""
    try:
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            if time.monotonic() > deadline:
                reason = TOO_SLOW.format(seconds=seconds)
            elif _memory(seen) > MEMORY_BYTES:
                reason = TOO_BIG
            if reason:
                break
            time.sleep(LOOK_EVERY)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    if process.returncode == -signal.SIGALRM:
        return TOO_SLOW.format(seconds=seconds)
    if process.returncode in (-signal.SIGXFSZ, 1) and os.fstat(told.fileno()).st_size >= OUTPUT_BYTES:
        return TOO_LONG
    return reason or (BROKEN if process.returncode else "")


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _read(line: bytes, question: Question) -> Answer:
    told = json.loads(line)
    if "error" not in told:
        return Answer(effects=told["effects"])
    offset = told.get("offset")
    if offset is None:
        return Answer(error=told["error"])
    before = question.rego.encode()[:offset].decode(errors="replace")
    return Answer(error=told["error"], line=before.count("\n") + 1, column=len(before) - (before.rfind("\n") + 1) + 1)
