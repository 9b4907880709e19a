import secrets
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.forms import MemberForm, PersonForm, RoleForm, TeamForm, show_error
from apps.accounts.models import Membership, Team
from apps.accounts.permissions import AccountsPermission, can, require
from apps.accounts.requests import SignedIn
from apps.accounts.selectors import (
    PEOPLE_SHOWN,
    TeamMembers,
    may_manage,
    members_of,
    people_without_team,
    teams_with_members,
)
from apps.accounts.services import (
    membership_add,
    membership_change,
    membership_remove,
    person_find,
    team_create,
    user_create,
)
from apps.core.exceptions import UserError
from apps.core.paging import page_of


def _people_page(
    request: SignedIn, *, failed: tuple[Team, MemberForm] | None = None, status: int = 200
) -> HttpResponse:
    asked = request.GET.get("team", "")[:40]
    chosen = Team.objects.visible_to(request.user).filter(slug=asked).first() if asked.isascii() and asked else None
    paging: dict[str, Any] = {}
    if chosen and not failed:
        page = page_of(members_of([chosen.pk]), cursor=request.GET.get("cursor", ""), size=PEOPLE_SHOWN)
        count = members_of([chosen.pk]).count()
        entries = [TeamMembers(chosen, count, page.rows, may_manage(request.user, chosen))]
        paging = {"next_url": _link(chosen, page.next), "previous_url": _link(chosen, page.previous)}
    elif asked and not failed:
        entries = []
    else:
        entries = teams_with_members(user=request.user, unfold=failed[0] if failed else None)
    teams = []
    for entry in entries:
        form = failed[1] if failed and failed[0].pk == entry.team.pk else MemberForm(team=entry.team)
        is_open = entry.memberships is not None
        teams.append({"entry": entry, "is_open": is_open, "form": form if entry.may_manage and is_open else None})
    may_create = can(request.user, AccountsPermission.MANAGE_TEAMS)
    context = {
        "teams_shown": teams,
        "roles": Membership.Role.choices,
        "may_create": may_create,
        "teamless": people_without_team() if may_create and not asked else [],
        **paging,
    }
    return render(request, "accounts/people.html", context, status=status)


def _link(team: Team, cursor: str | None) -> str:
    return f"?{urlencode({'team': team.slug, 'cursor': cursor})}" if cursor else ""


@login_required
@require_safe
def people(request: SignedIn) -> HttpResponse:
    """The teams a person sees, with everybody in them."""
    return _people_page(request)


def _team(request: SignedIn, slug: str) -> Team:
    return get_object_or_404(Team.objects.visible_to(request.user), slug=slug)


def _membership(request: SignedIn, slug: str, pk: Any) -> Membership:
    rows = Membership.objects.select_related("team", "user")
    return get_object_or_404(rows, team=_team(request, slug), pk=pk)


def _back(team: Team) -> HttpResponse:
    return redirect(f"{reverse('accounts:people')}#{team.slug}")


@login_required
@require_POST
def member_add(request: SignedIn, slug: str) -> HttpResponse:
    team = _team(request, slug)
    require(request.user, AccountsPermission.MANAGE_MEMBERS, team)
    form = MemberForm(request.POST, team=team)
    if form.is_valid():
        try:
            person = person_find(form.cleaned_data["person"])
            membership_add(team=team, user=person, role=form.cleaned_data["role"], actor=request.user)
        except UserError as error:
            if not error.errors:
                raise
            show_error(form, error)
        else:
            messages.success(request, f"{person.display_name} is in {team.name} now.")
            return _back(team)
    return _people_page(request, failed=(team, form), status=422)


@login_required
@require_POST
def member_role(request: SignedIn, slug: str, pk: Any) -> HttpResponse:
    membership = _membership(request, slug, pk)
    require(request.user, AccountsPermission.MANAGE_MEMBERS, membership.team)
    form = RoleForm(request.POST)
    if form.is_valid():
        row = membership_change(membership=membership, role=form.cleaned_data["role"], actor=request.user)
        messages.success(request, f"{row.user.display_name} is {row.get_role_display().lower()} of {row.team.name}.")
    return _back(membership.team)


@login_required
@require_POST
def member_remove(request: SignedIn, slug: str, pk: Any) -> HttpResponse:
    membership = _membership(request, slug, pk)
    membership_remove(membership=membership, actor=request.user)
    messages.success(request, f"{membership.user.display_name} is no longer in {membership.team.name}.")
    # Whoever took themselves out may not see the team any more.
    return redirect("accounts:people")


def _for_platform_engineers(request: SignedIn) -> None:
    if not can(request.user, AccountsPermission.MANAGE_TEAMS):
        raise Http404


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def person_new(request: SignedIn) -> HttpResponse:
    """Add a person with a first password, shown once in the answer."""
    _for_platform_engineers(request)
    form = PersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        first_password = secrets.token_urlsafe(15)
        try:
            user = user_create(actor=request.user, password=first_password, **form.cleaned_data)
        except UserError as error:
            show_error(form, error)
        else:
            context = {"person": user, "first_password": first_password}
            return render(request, "accounts/person_made.html", context, status=201)
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/person_new.html", {"form": form}, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def team_new(request: SignedIn) -> HttpResponse:
    _for_platform_engineers(request)
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            team = _team_create(request, form)
        except UserError as error:
            names = {"slug": "name", "person": "manager"}
            error.errors = {names.get(name, name): texts for name, texts in error.errors.items()}
            show_error(form, error)
        else:
            messages.success(request, f"{team.name} is there. Add its people.")
            return _back(team)
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/team_new.html", {"form": form}, status=status)


def _team_create(request: SignedIn, form: TeamForm) -> Team:
    manager = person_find(form.cleaned_data["manager"])
    return team_create(actor=request.user, slug=form.slug(), name=form.cleaned_data["name"], manager=manager)
