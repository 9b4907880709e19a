"""What Terraform wrote during a check, as one sentence for the page."""

import json
import re
from typing import Any

FRAME = re.compile(r"^[╷│╵]\s?", re.MULTILINE)
ERROR = re.compile(r"^\s*Error: (.+?)\n(.*?)(?=^\s*(?:Error|Warning): |\Z)", re.MULTILINE | re.DOTALL)
PROVIDER = re.compile(
    r"(?:versions for provider|Failed to install provider.*?(?:installing|provider)|"
    r"provider registry has no|there is no package for|query available.*?provider)\s+(?:packages?\s+)?"
    r"([a-z0-9][\w.-]*(?:/[\w.-]+){1,2})",
    re.IGNORECASE | re.DOTALL,
)
CREDENTIALS = re.compile(
    r"no valid credential sources|credentials? (?:not found|could not be|are required|is required)"
    r"|could not find default credentials|unable to (?:find|locate) credentials|failed to refresh cached credentials"
    r"|no EC2 IMDS role|building (?:AzureRM|account)|invalid provider configuration|missing region|security token"
    r"|could not load plugin credentials|authenticat|InvalidClientTokenId|ExpiredToken|sts:GetCallerIdentity",
    re.IGNORECASE,
)
# Where it is, the line of code, what its parts are, and the progress of tests.
ASIDE = re.compile(
    r"on .+ line \d+|\d+:|[├│]|[\w./-]+\.tftest\.\w+\.\.\.|run \".*\"\.\.\.|\(source code not available\)"
)
OUTCOME = re.compile(r"^(?:Success|Failure)! (.+)$", re.MULTILINE)
DIFF = re.compile(r"^--- (?:old/)?(.+)$", re.MULTILINE)
FILE_LINE = re.compile(r"^[\w./-]+\.(?:tf|tfvars|tftest\.hcl|tfmock\.hcl|tofu)$", re.MULTILINE)
LONGEST = 400


def unframed(text: str) -> str:
    return FRAME.sub("", text)


def first_error(text: str) -> str:
    """The first error with its explanation, in a line."""
    plain = unframed(text)
    found = ERROR.search(plain)
    if found is None:
        last = [line.strip() for line in plain.splitlines() if line.strip()]
        return _short(last[-1]) if last else "Terraform ended without saying why."
    title, rest = found[1].strip(), found[2]
    lines = [line.strip() for line in rest.splitlines()]
    said = [line for line in lines if line and not ASIDE.match(line)]
    where = next((line.rstrip(":").removeprefix("on ") for line in lines if re.match(r"on .+ line \d+", line)), "")
    detail = " ".join(said[:4])
    return _short(f"{title}{f' ({where})' if where else ''}. {detail}".replace("..", "."))


def missing_provider(text: str) -> str:
    """The provider that init could not have; empty where that was not the trouble."""
    plain = " ".join(unframed(text).split())
    if "provider" not in plain:
        return ""
    found = PROVIDER.search(plain)
    return found[1].rstrip(":.,").removeprefix("registry.terraform.io/") if found else ""


def wants_credentials(text: str) -> bool:
    return bool(CREDENTIALS.search(" ".join(unframed(text).split())))


def tests_told(text: str) -> str:
    found = OUTCOME.search(text)
    return f"{found[1].rstrip('.')}." if found else ""


def unformatted_files(text: str) -> list[str]:
    """Names of files that `fmt -check -diff` lists."""
    return sorted(set(FILE_LINE.findall(text)))


def validate_report(text: str) -> tuple[list[str], str]:
    """(errors as sentences, all diagnostics as text) of `validate -json`."""
    start = text.find("{")
    try:
        told = json.loads(text[start:]) if start >= 0 else {}
    except ValueError:
        return [], text
    problems, lines = [], []
    for item in told.get("diagnostics", []):
        line = _diagnostic(item)
        lines.append(f"{item.get('severity', 'error')}: {line}")
        if item.get("severity") == "error":
            problems.append(_short(line))
    return problems, "\n".join(lines)


def _diagnostic(item: dict[str, Any]) -> str:
    place = item.get("range") or {}
    where = f" ({place['filename']} line {place['start']['line']})" if place else ""
    return f"{item.get('summary', '')}{where}. {item.get('detail', '')}".strip()


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
