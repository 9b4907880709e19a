from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apps.accounts import registry
from apps.accounts.exceptions import AccountInvalid, AlreadyMember, LastManager, PersonUnknown
from apps.accounts.models import Membership, Team, User
from apps.accounts.permissions import AccountsPermission, can, require
from apps.core.exceptions import NotAllowed

MANAGER = Membership.Role.MANAGER


def team_create(*, actor: User | None, slug: str, name: str, manager: User | None = None) -> Team:
    """Add a team, with its first manager. `actor` None is the portal itself (seeding)."""
    if actor is not None and not can(actor, AccountsPermission.MANAGE_TEAMS):
        raise NotAllowed("Only a platform engineer can add teams.")
    team = Team(slug=slug, name=name)
    try:
        team.full_clean()
    except ValidationError as error:
        raise AccountInvalid(errors={name: list(texts) for name, texts in error.message_dict.items()}) from None
    try:
        with transaction.atomic():
            team.save()
            registry.record(
                action="accounts:team:created",
                actor=actor,
                target=team,
                team_id=team.pk,
                after={"slug": slug, "name": name},
            )
            if manager is not None:
                _membership_create(team=team, user=manager, role=MANAGER, actor=actor)
    except IntegrityError:
        raise AccountInvalid(errors={"slug": ["A team with this short name already exists."]}) from None
    return team


def person_find(name: str) -> User:
    """The active person with this username or, when only one has it, e-mail address. Raises `PersonUnknown`."""
    name = name.strip()[:254]
    people: list[User] = list(User.objects.filter(username=name, is_active=True)) if name else []
    if not people and "@" in name:
        people = list(User.objects.filter(email__iexact=name, is_active=True)[:2])
    if len(people) != 1:
        raise PersonUnknown(errors={"person": ["Nobody signs in with this username or e-mail address."]})
    return people[0]


def membership_add(*, team: Team, user: User, role: str, actor: User | None) -> Membership:
    """Take a person into a team. Raises `NotAllowed`, `AlreadyMember`."""
    _may_manage(actor, team)
    try:
        with transaction.atomic():
            return _membership_create(team=team, user=user, role=role, actor=actor)
    except IntegrityError:
        raise AlreadyMember(errors={"person": [f"{user.display_name} is in {team.name} already."]}) from None


def _membership_create(*, team: Team, user: User, role: str, actor: User | None) -> Membership:
    membership = Membership(team=team, user=user, role=_role(role))
    membership.save()
    registry.record(
        action="accounts:membership:added",
        actor=actor,
        target=membership,
        team_id=team.pk,
        after={"user": user.username, "team": team.slug, "role": membership.role},
    )
    return membership


def membership_change(*, membership: Membership, role: str, actor: User) -> Membership:
    """Give a member another role. Raises `NotAllowed`, `LastManager`."""
    _may_manage(actor, membership.team)
    with transaction.atomic():
        membership = _locked(membership)
        before, role = membership.role, _role(role)
        if before == role:
            return membership
        if before == MANAGER:
            _another_manager(membership)
        membership.role = role
        membership.save(update_fields=["role"])
        registry.record(
            action="accounts:membership:changed",
            actor=actor,
            target=membership,
            team_id=membership.team_id,
            before={"user": membership.user.username, "role": before},
            after={"user": membership.user.username, "role": role},
        )
    return membership


def membership_remove(*, membership: Membership, actor: User) -> None:
    """Take a person out of a team; what they own stays theirs. Raises `NotAllowed`, `LastManager`."""
    _may_manage(actor, membership.team)
    with transaction.atomic():
        membership = _locked(membership)
        if membership.role == MANAGER:
            _another_manager(membership)
        registry.record(
            action="accounts:membership:removed",
            actor=actor,
            target=membership,
            team_id=membership.team_id,
            before={
                "user": membership.user.username,
                "team": membership.team.slug,
                "role": membership.role,
            },
        )
        membership.delete()


def _may_manage(actor: User | None, team: Team) -> None:
    if actor is not None:
        require(actor, AccountsPermission.MANAGE_MEMBERS, team)


def _locked(membership: Membership) -> Membership:
    """The row as it is now; the team's row is the lock, so that two managers cannot remove each other at once."""
    Team.objects.select_for_update().get(pk=membership.team_id)
    try:
        return Membership.objects.select_related("user", "team").get(pk=membership.pk)
    except Membership.DoesNotExist:
        raise PersonUnknown("This person has left the team already.") from None


def _another_manager(membership: Membership) -> None:
    others = Membership.objects.filter(team_id=membership.team_id, role=MANAGER, user__is_active=True)
    if not others.exclude(pk=membership.pk).exists():
        raise LastManager(f"{membership.user.display_name} is the last one. Make somebody else a manager first.")


def _role(role: str) -> str:
    if role not in Membership.Role.values:
        raise AccountInvalid(errors={"role": ["Choose member or manager."]})
    return role
