"""Environment tokens: which environment a caller of the socket acts for.

A token is `<workspace_id>.<hex HMAC-SHA256 of the workspace id under the agent's secret>`. It is never stored; the
secret stays on the machine.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from .errors import Unauthorized
from .layout import WORKSPACE


def secret_load(path: Path) -> bytes:
    """The key in `path`, made on first use (0600). Two processes starting together end with the same key."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_hex(32))
    text = path.read_text().strip()
    if len(text) < 64:
        raise RuntimeError(f"{path} does not hold a key of 32 bytes; restore it or remove it to have a new one made")
    return text.encode()


def token_make(secret: bytes, workspace_id: str) -> str:
    if not WORKSPACE.match(workspace_id):
        raise ValueError(f"not a workspace id: {workspace_id!r}")
    return f"{workspace_id}.{hmac.new(secret, workspace_id.encode(), hashlib.sha256).hexdigest()}"


def token_workspace(secret: bytes, authorization: str | None) -> str:
    """The workspace id an `Authorization: Bearer` header stands for, or Unauthorized."""
    scheme, _, token = (authorization or "").partition(" ")
    workspace_id = token.strip().partition(".")[0]
    if scheme.lower() == "bearer" and WORKSPACE.match(workspace_id):
        expected = token_make(secret, workspace_id)
        if hmac.compare_digest(expected.encode(), token.strip().encode("utf-8", "surrogateescape")):
            return workspace_id
    raise Unauthorized("Send 'Authorization: Bearer <environment token>' with the token of this environment.")
