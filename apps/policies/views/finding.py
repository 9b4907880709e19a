"""From an address to a policy the person may see, and who may do more than look."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import reverse

from apps.accounts.models import User
from apps.policies.models import Policy
from apps.policies.permissions import PolicyPermission, can


def find(user: User, slug: str) -> Policy:
    rows = Policy.objects.visible_to(user).select_related("team", "module", "current_version__created_by")
    found: Policy = get_object_or_404(rows, slug=slug)
    return found


def may_write(user: User) -> bool:
    return can(user, PolicyPermission.WRITE)


def crumbs(policy: Policy | None = None) -> list[dict[str, str]]:
    found = [{"label": "Policies", "url": reverse("policies:list")}]
    if policy is not None:
        found.append({"label": policy.title, "url": reverse("policies:policy", args=[policy.slug])})
    return found


def tabs(current: str) -> list[dict[str, Any]]:
    return [
        {"label": label, "url": reverse(f"policies:{name}"), "active": name == current}
        for name, label in (("list", "Rules"), ("input_policies", "Inputs of modules"))
    ]
