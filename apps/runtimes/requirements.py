"""The requirements of a Python environment as people write them: read line by line, before uv ever sees them.

A requirements file can do much more than name packages: options choose other indexes, lines read files of the machine
(`-r`, paths), run what lies there (`-e`), or have variables of its environment put into an address (`${NAME}`). Here a
line is one requirement (PEP 508) and nothing else, unless the platform's settings allow addresses.
"""

import re

from django.conf import settings
from packaging.requirements import InvalidRequirement, Requirement

MAX_LINES = 200
MAX_LINE = 300
MAX_TEXT = 20_000
MAX_MESSAGES = 20

_OPTION = re.compile(r"(--?[A-Za-z][A-Za-z-]*)(?:[\s=]\s*(?P<value>.*))?")
_ADDRESS_OPTIONS = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links")
_PLACE = re.compile(r"(file:|[./~\\]|[A-Za-z]:[\\/])", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(whl|zip|tar\.gz|tar\.bz2|tgz|egg)$", re.IGNORECASE)
_REMOTE = re.compile(r"(https|git\+https)://[^\s@/]+/\S*", re.IGNORECASE)


def requirements_check(text: str) -> tuple[str, list[str]]:
    """The text with plain line ends, and what is wrong with it: sentences that name line and cure."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if len(text) > MAX_TEXT:
        return "", [f"Use at most {MAX_TEXT:,} characters; this has {len(text):,}."]
    lines = [line.rstrip() for line in text.split("\n")]
    if len(lines) > MAX_LINES:
        return "", [f"Use at most {MAX_LINES} lines; this has {len(lines)}."]
    found = [f"Line {number}: {said}" for number, line in enumerate(lines, 1) if (said := _line_problem(line))]
    if not found and not any(_content(line) for line in lines):
        found = ["Name at least one package, for example scikit-learn==1.8.*"]
    if len(found) > MAX_MESSAGES:
        found = [*found[:MAX_MESSAGES], f"{len(found) - MAX_MESSAGES} more lines cannot be used."]
    return "\n".join(lines).strip("\n") + "\n", found


def _content(line: str) -> str:
    """Without its comment, which begins at a # after a space as in pip."""
    return re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()


def _line_problem(line: str) -> str:
    if len(line) > MAX_LINE:
        return f"it is longer than {MAX_LINE} characters."
    if not line.replace("\t", " ").isprintable():
        return "it has characters that cannot be seen. Type it anew."
    content = _content(line)
    if not content:
        return ""
    if content.endswith("\\"):
        return "a line cannot go on in the next one. Write the whole requirement in one line."
    if "${" in content:
        return "variables are not filled in here. Write the name and the version itself."
    if content.startswith("-"):
        return _option_problem(content)
    return _requirement_problem(content)


def _option_problem(content: str) -> str:
    match = _OPTION.match(content)
    name = match[1] if match else content.split()[0]
    if match and name in _ADDRESS_OPTIONS and settings.RUNTIME_ADDRESSES:
        value = (match["value"] or "").strip()
        return "" if _REMOTE.fullmatch(value) else f"“{name}” takes an https:// address without a password."
    if name in _ADDRESS_OPTIONS:
        return (
            f"“{name}” is not possible here: packages come from the index that the machine is set up with. "
            "Leave the line out."
        )
    return f"“{name}” is not possible here: a line names one package. Leave the line out."


def _requirement_problem(content: str) -> str:
    shown = content if len(content) <= 60 else f"{content[:60]}…"
    name = content.partition("@")[0]
    if _PLACE.match(content) or _ARCHIVE.search(name) or "://" in name:
        return f"“{shown}” is a file or an address. Name the package and its version, for example pandas==2.3.*"
    try:
        requirement = Requirement(content)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0].rstrip(".:")
        return f"“{shown}” is no requirement ({reason}). Write for example pandas==2.3.*"
    if requirement.url is None:
        return ""
    if not settings.RUNTIME_ADDRESSES:
        return f"“{requirement.name} @ …” names an address, which is not possible here. Name a version instead."
    return "" if _REMOTE.fullmatch(requirement.url) else f"“{requirement.name}”: give an https:// address."
