from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.forms import PasswordForm, PreferencesForm, ProfileForm, TokenForm, show_error
from apps.accounts.models import ApiToken
from apps.accounts.requests import SignedIn
from apps.accounts.services import password_change, preferences_update, token_create, token_revoke, user_update
from apps.core.exceptions import UserError
from apps.core.rates import rate_check

TOKENS_SHOWN = 100


def _account_page(request: SignedIn, *, status: int = 200, **forms: Any) -> HttpResponse:
    user = request.user
    context = {
        "profile_form": ProfileForm(instance=user),
        "preferences_form": PreferencesForm(
            initial={"theme": user.theme, "time_zone": user.time_zone, "shortcuts": user.shortcuts}
        ),
        "token_form": TokenForm(auto_id="id_token_%s"),
        "tokens": ApiToken.objects.visible_to(user).filter(revoked_at=None)[:TOKENS_SHOWN],
        "memberships": user.memberships.select_related("team").order_by("team__name"),
        "now": timezone.now(),
        **forms,
    }
    return render(request, "accounts/account.html", context, status=status)


@login_required
@require_safe
def account(request: SignedIn) -> HttpResponse:
    return _account_page(request)


@login_required
@require_POST
def profile_save(request: SignedIn) -> HttpResponse:
    form = ProfileForm(request.POST, instance=request.user)
    if form.is_valid():
        try:
            user_update(user=request.user, actor=request.user, **form.cleaned_data)
        except UserError as error:
            show_error(form, error)
        else:
            messages.success(request, "Your name and address are saved.")
            return redirect("accounts:account")
    request.user.refresh_from_db()
    return _account_page(request, profile_form=form, status=422)


@login_required
@require_POST
def preferences_save(request: SignedIn) -> HttpResponse:
    form = PreferencesForm(request.POST)
    if form.is_valid():
        preferences_update(user=request.user, **form.cleaned_data)
        messages.success(request, "Your preferences are saved.")
        return redirect("accounts:account")
    return _account_page(request, preferences_form=form, status=422)


@login_required
@require_POST
def theme_save(request: SignedIn) -> HttpResponse:
    """The switch in the account menu; leads back to the page it was used on."""
    preferences_update(user=request.user, theme=request.POST.get("theme", ""))
    if request.htmx or request.headers.get("Accept", "").startswith("application/json"):
        return HttpResponse(status=204)
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return redirect(target if safe else "/")


@sensitive_post_parameters()
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: SignedIn) -> HttpResponse:
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        rate_check(scope="password", user_id=request.user.pk)
        try:
            password_change(user=request.user, current=form.cleaned_data["current"], new=form.cleaned_data["new"])
        except UserError as error:
            show_error(form, error)
        else:
            update_session_auth_hash(request, request.user)
            messages.success(request, "Your password is changed. You are signed out everywhere else.")
            return redirect("accounts:account")
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/password.html", {"form": form}, status=status)


@login_required
@never_cache
@require_POST
def token_new(request: SignedIn) -> HttpResponse:
    """Answers the POST with the secret itself: it is shown once, so it goes into no message, session or address."""
    form = TokenForm(request.POST, auto_id="id_token_%s")
    if form.is_valid():
        rate_check(scope="tokens", user_id=request.user.pk)
        try:
            token, secret = token_create(
                user=request.user,
                name=form.cleaned_data["name"],
                scopes=[form.cleaned_data["scope"]],
                expires_at=timezone.now() + form.lifetime(),
            )
        except UserError as error:
            show_error(form, error)
        else:
            return render(request, "accounts/token_made.html", {"token": token, "secret": secret}, status=201)
    return _account_page(request, token_form=form, status=422)


@login_required
@require_POST
def token_end(request: SignedIn, pk: Any) -> HttpResponse:
    token = get_object_or_404(ApiToken.objects.visible_to(request.user), pk=pk)
    token_revoke(token=token, actor=request.user)
    messages.success(request, f"“{token.name}” is revoked and works no more.")
    return redirect("accounts:account")
