"""Moving aliases, writing cards and descriptions."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.exceptions import Conflict, InvalidInput
from apps.experiments.exceptions import TrackerAway
from apps.experiments.markdown import markdown_html
from apps.registry.exceptions import DescriptionChanged
from apps.registry.forms import AliasDeleteForm, AliasForm, CardForm, DescriptionForm
from apps.registry.models import RegisteredModel
from apps.registry.permissions import ModelPermission, require
from apps.registry.selectors import card_newest, version_numbers
from apps.registry.services.aliases import alias_delete, alias_set
from apps.registry.services.cards import card_write
from apps.registry.services.describing import description_mark, description_write
from apps.registry.views.finding import crumbs, model_find, number_asked, person, show_error

WRITE = ["GET", "HEAD", "POST"]


@login_required
@require_http_methods(WRITE)
def alias(request: HttpRequest, name: str) -> HttpResponse:
    """Set or move one: `?alias=champion&version=3` fills the form in."""
    model, user = model_find(request, name), person(request)
    require(user, ModelPermission.MOVE_ALIAS, model)
    form = AliasForm(request.POST or None, initial=_asked(request, model))
    if request.method == "POST" and form.is_valid():
        try:
            moved = alias_set(model=model, actor=user, **form.cleaned_data)
        except (InvalidInput, Conflict, TrackerAway) as error:
            return _alias_page(request, model, form, error)
        word = "points at" if moved else "pointed already at"
        messages.success(request, f"{form.cleaned_data['alias']} {word} version {form.cleaned_data['version']}.")
        return redirect("registry:model", name=model.name)
    return _alias_page(request, model, form, None)


@login_required
@require_POST
def alias_remove(request: HttpRequest, name: str) -> HttpResponse:
    model, user = model_find(request, name), person(request)
    require(user, ModelPermission.MOVE_ALIAS, model)
    form = AliasDeleteForm(request.POST)
    if form.is_valid():
        try:
            gone = alias_delete(model=model, actor=user, **form.cleaned_data)
        except (InvalidInput, Conflict, TrackerAway) as error:
            messages.error(request, str(error))
        else:
            word = "is taken away" if gone else "was away already"
            text = f"{form.cleaned_data['alias']} {word}. Who loads the model by this name gets an error now."
            messages.success(request, text)
    else:
        messages.error(request, "Nothing was changed: the alias to take away was not named.")
    return redirect("registry:model", name=model.name)


def _asked(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:
    """From the link: with an alias that is there, where it is now."""
    name = request.GET.get("alias", "").replace("\x00", "")[:100]
    there = next((each.version for each in model.aliases.all() if each.alias == name), None)
    return {"alias": name, "version": number_asked(request, "version"), "from_version": there}


def _alias_page(request: HttpRequest, model: RegisteredModel, form: AliasForm, error: Any) -> HttpResponse:
    if error is not None:
        show_error(error, form)
    now = getattr(error, "now", None)
    name = form["alias"].value() or ""
    if error is not None and hasattr(error, "now"):
        # The page is shown anew from where the alias is now: sending it once more is a decision with open eyes.
        form.data = {**{key: request.POST.get(key, "") for key in form.fields}, "from_version": str(now or "")}
    context = {
        "model": model,
        "form": form,
        "crumbs": crumbs(model),
        "numbers": version_numbers(model),
        "chosen": str(form["version"].value() or ""),
        "heading": f"Move {name}" if name and request.method == "GET" else "Set alias",
        "from_version": form["from_version"].value() or "",
    }
    status = 200 if not form.errors else getattr(error, "status", 422)
    return render(request, "registry/alias.html", context, status=422 if status == 400 else status)


@login_required
@require_http_methods(WRITE)
def card(request: HttpRequest, name: str) -> HttpResponse:
    """Edit the card: what is saved is its next version."""
    model, user = model_find(request, name), person(request)
    require(user, ModelPermission.WRITE_CARD, model)
    form = CardForm(request.POST or None, card=card_newest(model))
    status = 200
    if request.method == "POST":
        if form.is_valid():
            number = form.cleaned_data["from_number"]
            try:
                card_write(model=model, actor=user, sections=form.sections(), from_number=number)
            except (InvalidInput, Conflict) as error:
                show_error(error, form)
                status = 409 if isinstance(error, Conflict) else 422
            else:
                return redirect(f"{reverse('registry:model', args=[model.name])}#card")
        else:
            status = 422
    context = {"model": model, "form": form, "crumbs": crumbs(model)}
    return render(request, "registry/card.html", context, status=status)


@login_required
@require_http_methods(WRITE)
def description(request: HttpRequest, name: str) -> HttpResponse:
    model, user = model_find(request, name), person(request)
    require(user, ModelPermission.DESCRIBE, model)
    form = DescriptionForm(request.POST or None, initial={"description": model.description})
    status, seen, theirs = 200, description_mark(model.description), None
    if request.method == "POST":
        status, seen = 422, request.POST.get("seen", "")[:64]
        if form.is_valid():
            try:
                description_write(model=model, actor=user, **form.cleaned_data)
            except (InvalidInput, Conflict, TrackerAway) as error:
                show_error(error, form)
                status = 422 if isinstance(error, InvalidInput) else error.status
                if isinstance(error, DescriptionChanged):
                    # Sending it once more is a decision with open eyes.
                    seen, theirs = description_mark(error.now), markdown_html(error.now)
            else:
                return redirect("registry:model", name=model.name)
    context = {"model": model, "form": form, "crumbs": crumbs(model), "seen": seen, "theirs": theirs}
    return render(request, "registry/description.html", context, status=status)
