"""Recreating the environment of a run: what will be the same is said before the click, and what cannot."""

import secrets

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.core.exceptions import Conflict, InvalidInput
from apps.core.rates import rate_check
from apps.experiments.recreation import recreation_of
from apps.experiments.run_forms import SECRET_PREFIX, RecreateForm
from apps.experiments.services.recreate import run_recreate
from apps.experiments.views.run_finding import run_page


@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def recreate(request: HttpRequest, run_id: str) -> HttpResponse:
    page = run_page(request, run_id)
    found = recreation_of(user=page.user, detail=page.detail, lineage=page.lineage)
    initial = {"name": found.name, "token": secrets.token_hex(16)}
    form = RecreateForm(request.POST if request.method == "POST" else None, secrets=found.secrets, initial=initial)
    if request.method == "POST" and found.possible and form.is_valid():
        rate_check(scope="launch", user_id=page.user.pk)
        try:
            environment = run_recreate(
                run=page.run,
                actor=page.user,
                recreation=found,
                name=form.cleaned_data["name"],
                secrets=form.secrets(),
                token=form.cleaned_data["token"],
            )
        except (InvalidInput, Conflict) as error:
            _show(form, error)
        else:
            return redirect("environments:detail", pk=environment.pk)
    frame = page.frame("run-recreate")
    frame["head"]["primary"] = None
    context = {
        **frame,
        "recreation": found,
        "form": form,
        "launch_url": reverse("environments:launch_module", args=[found.version.module.slug]) if found.version else "",
    }
    refused = form.is_bound and (form.errors or not found.possible)
    return render(request, "experiments/run_recreate.html", context, status=422 if refused else 200)


def _show(form: RecreateForm, error: InvalidInput | Conflict) -> None:
    """What the launch refused, beside the field where there is one."""
    if not error.errors:
        form.add_error(None, str(error))
    for name, messages in error.errors.items():
        secret = SECRET_PREFIX + name.removeprefix("inputs.")
        if name in form.fields or secret in form.fields:
            form.add_error(name if name in form.fields else secret, messages)
        else:
            form.add_error(None, [f"{name.removeprefix('inputs.')}: {message}" for message in messages])
