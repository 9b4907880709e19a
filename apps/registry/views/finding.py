"""From an address to a row the person may see; what they may not see is not there."""

from typing import Any

from django.http import Http404, HttpRequest
from django.urls import reverse

from apps.accounts.models import User
from apps.core.exceptions import UserError
from apps.registry.models import ModelVersion, RegisteredModel
from apps.registry.selectors import model_get, version_get


def person(request: HttpRequest) -> User:
    return request.user  # type: ignore[return-value]


def model_find(request: HttpRequest, name: str) -> RegisteredModel:
    row = model_get(user=person(request), name=name) if "\x00" not in name and len(name) <= 256 else None
    if row is None:
        raise Http404
    return row


def version_find(model: RegisteredModel, number: int) -> ModelVersion:
    row = version_get(model, number)
    if row is None:
        raise Http404
    row.model = model
    return row


def number_asked(request: HttpRequest, name: str) -> int | None:
    """A small whole number of the query; None for anything else."""
    value = request.GET.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None


def crumbs(model: RegisteredModel | None = None) -> list[dict[str, str]]:
    found = [{"label": "Models", "url": reverse("registry:list")}]
    if model is not None:
        found.append({"label": model.name, "url": reverse("registry:model", args=[model.name])})
    return found


def show_error(error: UserError, form: Any) -> None:
    """Put what a service refused beside the fields it concerns."""
    if not error.errors:
        form.add_error(None, str(error))
    for name, messages in error.errors.items():
        form.add_error(name if name in form.fields else None, messages)
