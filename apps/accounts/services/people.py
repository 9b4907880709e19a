from typing import Any
from zoneinfo import available_timezones

from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from apps.accounts import registry
from apps.accounts.exceptions import AccountInvalid, PasswordWrong
from apps.accounts.models import User
from apps.accounts.permissions import AccountsPermission, can
from apps.core.exceptions import NotAllowed

PROFILE_FIELDS = ("first_name", "last_name", "email")
ROLE_FIELDS = ("is_platform_engineer", "is_auditor", "is_active")
PREFERENCE_FIELDS = ("theme", "time_zone", "shortcuts")


def _validate(user: User) -> None:
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        raise AccountInvalid(errors={name: list(texts) for name, texts in error.message_dict.items()}) from None


def _password_validate(password: str, user: User, field: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise AccountInvalid(errors={field: list(error.messages)}) from None


def user_create(
    *,
    actor: User | None,
    username: str,
    password: str | None,
    first_name: str = "",
    last_name: str = "",
    email: str = "",
    is_platform_engineer: bool = False,
    is_auditor: bool = False,
) -> User:
    """Add a person. Without a password nobody can sign in as them. Raises `AccountInvalid` with the fields."""
    user = User(
        username=username,
        first_name=first_name,
        last_name=last_name,
        email=User.objects.normalize_email(email),
        is_platform_engineer=is_platform_engineer,
        is_auditor=is_auditor,
    )
    if password is None:
        user.set_unusable_password()
    else:
        _password_validate(password, user, "password")
        user.set_password(password)
    _validate(user)
    try:
        with transaction.atomic():
            user.save()
            registry.record(
                action="accounts:user:created",
                actor=actor,
                target=user,
                after={name: getattr(user, name) for name in ("username", *PROFILE_FIELDS, *ROLE_FIELDS)},
            )
    except IntegrityError:
        raise AccountInvalid(errors={"username": ["A user with that username already exists."]}) from None
    return user


def user_update(*, user: User, actor: User, **fields: Any) -> User:
    """Change names, e-mail address or global roles; permission is the caller's. Unknown fields are a bug."""
    unknown = fields.keys() - {*PROFILE_FIELDS, *ROLE_FIELDS}
    if unknown:
        raise TypeError(f"user_update cannot set {', '.join(sorted(unknown))}")
    with transaction.atomic():
        # `of` keeps the lock on this row alone.
        user = User.objects.select_for_update(of=("self",)).get(pk=user.pk)
        before = {name: getattr(user, name) for name in fields}
        for name, value in fields.items():
            setattr(user, name, value)
        after = {name: getattr(user, name) for name in fields}
        changed = [name for name in fields if before[name] != after[name]]
        if not changed:
            return user
        _validate(user)
        user.save(update_fields=changed)
        registry.record(
            action="accounts:user:changed",
            actor=actor,
            target=user,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
    return user


def preferences_update(*, user: User, **fields: Any) -> User:
    """Theme, time zone ("" is the browser-independent UTC) and keyboard shortcuts; of no interest to the audit log."""
    unknown = fields.keys() - set(PREFERENCE_FIELDS)
    if unknown:
        raise TypeError(f"preferences_update cannot set {', '.join(sorted(unknown))}")
    zone = fields.get("time_zone", "")
    if zone and zone not in available_timezones():
        raise AccountInvalid(errors={"time_zone": ["Choose a time zone of the list, for example Europe/Berlin."]})
    for name, value in fields.items():
        setattr(user, name, value)
    _validate(user)
    user.save(update_fields=list(fields))
    return user


def password_change(*, user: User, current: str, new: str) -> None:
    """Set another password; every other session of the person ends with it."""
    if not user.check_password(current):
        raise PasswordWrong(errors={"current": ["This is not your current password."]})
    _password_validate(new, user, "new")
    with transaction.atomic():
        user.set_password(new)
        user.save(update_fields=["password"])
        registry.record(action="accounts:password:changed", actor=user, target=user)


def password_reset_link(*, user: User, actor: User) -> str:
    """The path of a page where the person sets a new password: good once, for a day, and only until they sign in.

    Raises `NotAllowed` for all but platform engineers, `AccountInvalid` for a person who is switched off.
    """
    if not can(actor, AccountsPermission.MANAGE_TEAMS):
        raise NotAllowed("Only a platform engineer can make a password link.")
    if not user.is_active:
        raise AccountInvalid("This account is switched off. Switch it on first.")
    registry.record(action="accounts:password:link-made", actor=actor, target=user)
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("accounts:password_reset", args=[uid, default_token_generator.make_token(user)])


def password_reset(*, user: User, new: str) -> None:
    """Set the password that a link was made for; every session of the person ends. Raises `AccountInvalid`."""
    _password_validate(new, user, "new_password1")
    with transaction.atomic():
        user.set_password(new)
        user.save(update_fields=["password"])
        registry.record(action="accounts:password:reset", actor=user, target=user)


def sign_in_record(*, user: User, event: str, address: str = "") -> None:
    """`event` is signed-in, signed-out, sign-in-failed or sign-in-locked; the address is where it came from."""
    actor = None if event in {"sign-in-failed", "sign-in-locked"} else user
    registry.record(
        action=f"accounts:session:{event}", actor=actor, target=user, after={"address": address} if address else {}
    )
