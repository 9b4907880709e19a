import hashlib
from typing import Any

from axes.helpers import get_client_ip_address, get_cool_off
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_POST

from apps.accounts.forms import SignInForm
from apps.accounts.models import User
from apps.accounts.services import sign_in_record
from apps.core.rates import rate_check


class SignInView(LoginView):
    """Sign in and go on to `next`, if that is a page of the portal."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True
    http_method_names = ["get", "head", "post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Of an address, whoever it tries to be; tries against one person are counted by axes.
        rate_check(scope="sign-in", user_id=f"address:{_address(request)}")
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_valid(form)
        sign_in_record(user=form.get_user(), event="signed-in", address=_address(self.request))
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        _record_failure(self.request, "sign-in-failed")
        response = super().form_invalid(form)
        response.status_code = 422
        return response


@login_not_required
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends the session; without one there is nothing to end."""
    if request.user.is_authenticated:
        sign_in_record(user=request.user, event="signed-out")
    logout(request)
    return redirect("accounts:sign_in")


def locked_out(
    request: HttpRequest, response: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """What axes answers after too many failures: says how long to wait, and not whether the account exists."""
    wait = get_cool_off(request)
    seconds = int(wait.total_seconds()) if wait else 900
    _record_lock(request, seconds)
    context = {"retry_after": seconds, "message": "Sign-in from here was tried too often with a wrong password."}
    answer = render(request, "errors/429.html", context, status=429)
    answer.headers["Retry-After"] = str(seconds)
    add_never_cache_headers(answer)
    return answer


def _address(request: HttpRequest) -> str:
    return get_client_ip_address(request) or ""


def _record_lock(request: HttpRequest, seconds: int) -> None:
    """Once while it lasts, however often it is tried."""
    name = hashlib.sha256(f"{_address(request)}\n{_typed(request)}".encode()).hexdigest()
    if cache.add(f"accounts:sign-in-locked:{name}", 1, timeout=seconds):
        _record_failure(request, "sign-in-locked")


def _record_failure(request: HttpRequest, event: str) -> None:
    """Only for people who exist: what was typed may be a password in the wrong field."""
    user = User.objects.filter(username=_typed(request)).first()
    if user is not None:
        sign_in_record(user=user, event=event, address=_address(request))


def _typed(request: HttpRequest) -> str:
    return request.POST.get("username", "")[:150].replace("\x00", "")
