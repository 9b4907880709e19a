"""A new password for somebody who has lost theirs: a platform engineer hands over a link that works once."""

from typing import Any

from axes.utils import reset as axes_reset
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required, login_required
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from apps.accounts.forms import PasswordResetForm
from apps.accounts.models import User
from apps.accounts.requests import SignedIn
from apps.accounts.services import password_reset, password_reset_link
from apps.core.rates import rate_check

HOURS = settings.PASSWORD_RESET_TIMEOUT // 3600


@login_required
@never_cache
@require_POST
def password_link(request: SignedIn, pk: int) -> HttpResponse:
    """Answers the POST with the link itself: it is shown once, so it goes into no message, session or log."""
    seen = User.objects.visible_to(request.user).order_by().values("pk")
    person = get_object_or_404(User.objects.filter(pk__in=seen), pk=pk)
    rate_check(scope="tokens", user_id=request.user.pk)
    link = settings.PORTAL_URL + password_reset_link(user=person, actor=request.user)
    context = {"person": person, "link": link, "hours": HOURS}
    return render(request, "accounts/password_link.html", context, status=201)


@method_decorator([login_not_required, never_cache, sensitive_post_parameters()], name="dispatch")
class PasswordResetView(PasswordResetConfirmView):
    """Where the link leads. The token moves from the address into the session before the form is shown."""

    template_name = "accounts/password_reset.html"
    form_class = PasswordResetForm
    http_method_names = ["get", "head", "post"]

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(*args, **kwargs)
        if not self.validlink and response.status_code == 200:
            response.status_code = 404
        return response

    def get_user(self, uidb64: str) -> User | None:
        user = super().get_user(uidb64)
        return user if user is not None and user.is_active else None

    def form_valid(self, form: Any) -> HttpResponse:
        user: Any = self.user
        password_reset(user=user, new=form.cleaned_data["new_password1"])
        del self.request.session["_password_reset_token"]
        axes_reset(username=user.username)
        messages.success(self.request, "Your new password is set. Sign in with it.")
        return redirect("accounts:sign_in")

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)
        response.status_code = 422
        return response
