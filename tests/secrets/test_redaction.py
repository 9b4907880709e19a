"""What is taken out of logs, of settings and of addresses before anybody sees them."""

import json
import logging
import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import RequestFactory, override_settings

from apps.accounts.sign_in_names import name_counted
from apps.catalog.interface import inputs_clean
from apps.core.redaction import RedactingFormatter, holds_credentials, text_redacted
from apps.environments.access.portal_sessions import portal_session_remember
from apps.provisioning.agent.shipping import Redactor
from apps.provisioning.terraform_state import outputs_to_store
from tests.secrets.searching import Needles, shapes

SECRET = "canary0123456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        f"clone of https://someone:{SECRET}@example.org/a.git failed",
        f"clone of https://{SECRET}@example.org/a.git failed",
        f"postgresql://slipway:{SECRET}@/slipway?host=x",
        f"redis://:{SECRET}@127.0.0.1:1/0",
        f"Authorization: Bearer {SECRET}",
        f"token slw_{SECRET}",
    ],
)
def test_shapes_of_secrets_are_taken_out(text: str) -> None:
    assert SECRET not in text_redacted(text)
    assert "••••••" in text_redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/a@b",
        "git@example.org:team/project.git",
        "ssh://git@example.org/project.git",
        "http://localhost:8000/x?y=a:b@c",
        "https://example.org/search?q=a%3Ab",
        "Bearer of bad news",
        "mail me at a@example.org: soon",
    ],
)
def test_innocent_text_stays(text: str) -> None:
    assert text_redacted(text) == text
    assert not holds_credentials(text)


def formatted(message: str, *arguments: Any, exception: BaseException | None = None) -> str:
    exc_info = (type(exception), exception, exception.__traceback__) if exception else None
    record = logging.LogRecord("test", logging.ERROR, __file__, 1, message, arguments, exc_info)
    return RedactingFormatter("{levelname} {message}", style="{").format(record)


@override_settings(
    SECRET_KEY=f"key-{SECRET}", SLIPWAY_KEYS=[f"fernet-{SECRET}"], BROKER_URL=f"redis://:p%2F{SECRET}@h/0"
)
def test_log_lines_and_tracebacks_hold_no_key() -> None:
    for value in (f"key-{SECRET}", f"fernet-{SECRET}", f"p%2F{SECRET}", f"p/{SECRET}"):
        assert SECRET not in formatted("it is %s", value)
        with pytest.raises(ValueError, match="refused") as raised:
            raise ValueError(f"refused: {value}")
        assert SECRET not in formatted("bug", exception=raised.value)


def test_nobody_writes_lines_of_somebody_else_into_the_log() -> None:
    assert formatted("refused: %s", "x\nERROR forged\r") == "ERROR refused: x\\nERROR forged\\r"


def test_lines_of_a_log_lose_a_secret_in_every_shape() -> None:
    value = 'se/cret "with" everything'
    redact = Redactor([{"a": value}, "-----BEGIN KEY-----\nfirst-line-of-it\nsecond-line-of-it\n"])
    for shape in shapes(value)[:2]:
        assert "everything" not in redact(f"said {shape.decode()} aloud")
    assert "second-line" not in redact("    second-line-of-it")
    assert redact(f"https://me:{SECRET}@example.org") == "https://me:••••••@example.org"


def test_output_that_nobody_marked_repeats_no_secret() -> None:
    state = {
        "outputs": {
            "marked": {"value": SECRET, "sensitive": True},
            "copied": {"value": f"password={SECRET}", "sensitive": False},
            "address": {"value": "127.0.0.1:1", "sensitive": False},
            "typed": {"value": "of-the-input-only", "sensitive": False},
        },
        "resources": [],
    }
    stored = outputs_to_store(state, secrets=["of-the-input-only"])
    assert SECRET not in json.dumps({name: entry["shown"] for name, entry in stored.items()})
    assert stored["typed"]["shown"] == "••••••"
    assert stored["address"]["shown"] == stored["address"]["value"] == "127.0.0.1:1"
    # The portal itself goes on using it.
    assert stored["marked"]["value"] == SECRET


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        ({"address": f"https://me:{SECRET}@example.org/a.git"}, True),
        ({"address": f"https://{SECRET}@example.org/a.git"}, True),
        ({"variables": {"DATABASE_URL": f"postgresql://me:{SECRET}@db/x"}}, True),
        ({"hidden": {"DATABASE_URL": f"postgresql://me:{SECRET}@db/x"}}, False),
        ({"address": "ssh://git@example.org/a.git"}, False),
        ({"address": "git@example.org:team/a.git"}, False),
    ],
)
def test_passwords_in_addresses_belong_into_secret_inputs(value: dict[str, Any], refused: bool) -> None:
    _, errors = inputs_clean(interface_of(), value)
    assert bool(errors) is refused
    assert SECRET not in json.dumps(errors)
    if refused:
        assert "password out of the address" in json.dumps(errors)


def interface_of() -> Any:
    from apps.catalog.interface import ModuleInterface, module_parse
    from tests.secrets.conftest import LEAKY

    told = json.loads(json.dumps(module_parse(LEAKY).to_json()))
    template = next(variable for variable in told["variables"] if variable["name"] == "repository")
    told["variables"] = [
        {**template, "name": "address"},
        {**template, "name": "variables", "type": ["map", "string"]},
        {**template, "name": "hidden", "type": ["map", "string"], "sensitive": True},
    ]
    return ModuleInterface.from_json(told)


@pytest.mark.django_db
def test_password_in_the_field_of_the_name_is_counted_but_not_kept(django_user_model: Any) -> None:
    django_user_model.objects.create_user("dana", password="x")
    request = RequestFactory().post("/", {"username": SECRET})
    counted = name_counted(request)
    assert SECRET not in counted
    assert counted == name_counted(None, {"username": SECRET}) != name_counted(None, {"username": f"{SECRET}x"})
    assert name_counted(None, {"username": "dana"}) == "dana"


def test_cache_holds_no_session_key(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    monkeypatch.setattr(
        "apps.environments.access.portal_sessions.cache.set", lambda name, value, timeout: kept.update({name: value})
    )
    portal_session_remember(SECRET)
    assert kept
    assert not Needles({"session": SECRET}).in_text(repr(kept))


def test_the_web_servers_own_lines_are_redacted_as_well() -> None:
    """uvicorn logs a bug in front of Django by itself; with a configuration of its own it would write past ours."""
    code = (
        "from portal.up.web import configuration; configured = configuration(); configured.load()\n"
        "import logging; logging.getLogger('uvicorn.error').error('Bearer %s', 'CANARY' * 4)\n"
    ).replace("CANARY", SECRET)
    environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, timeout=60)
    assert "Bearer ••••••" in done.stderr, done.stderr
    assert SECRET not in done.stderr + done.stdout
