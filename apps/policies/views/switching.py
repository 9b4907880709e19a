"""Switching a policy on and off."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apps.accounts.requests import SignedIn
from apps.policies.services import policy_disable, policy_enable
from apps.policies.views.finding import find


@login_required
@require_POST
def enable(request: SignedIn, slug: str) -> HttpResponse:
    row = policy_enable(actor=request.user, policy=find(request.user, slug))
    messages.success(request, f"{row.title} is on. Plans that are applied from now on are asked about.")
    return redirect("policies:policy", slug=slug)


@login_required
@require_POST
def disable(request: SignedIn, slug: str) -> HttpResponse:
    row = policy_disable(actor=request.user, policy=find(request.user, slug))
    messages.success(request, f"{row.title} is off. It denies nothing any more.")
    return redirect("policies:policy", slug=slug)
