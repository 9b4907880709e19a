"""What people read for an action. Apps above register theirs; an unknown action is shown as it is."""

from apps.audit.models import AuditEvent

_words: dict[str, str] = {
    "accounts:user:created": "added the person",
    "accounts:user:changed": "changed the person",
    "accounts:password:changed": "changed the password of",
    "accounts:password:link-made": "made a password link for",
    "accounts:password:reset": "set a new password by a link for",
    "accounts:session:sign-in-locked": "refused sign-ins for a while of",
    "accounts:session:signed-in": "signed in",
    "accounts:session:signed-out": "signed out",
    "accounts:session:sign-in-failed": "saw a failed sign-in of",
    "accounts:team:created": "added the team",
    "accounts:membership:added": "took in",
    "accounts:membership:changed": "changed the role of",
    "accounts:membership:removed": "took out",
    "accounts:token:created": "made the token",
    "accounts:token:revoked": "revoked the token",
    "catalog:module-version:published": "published",
}


def register_words(words: dict[str, str]) -> None:
    """`{action: verb phrase}`, read as "<actor> <phrase> <target>"."""
    _words.update(words)


def target_for(event: AuditEvent) -> str:
    """What the phrase speaks of; nothing where the person acted on themselves and the phrase is whole without it."""
    is_whole = event.action in {"accounts:session:signed-in", "accounts:session:signed-out"}
    return "" if is_whole else event.target_name


def words_for(action: str) -> str:
    return _words.get(action, action)
