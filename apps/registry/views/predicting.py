"""The form that sends a prediction, on the page of a version."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.core.exceptions import UserError
from apps.registry.deployed import deployments_of
from apps.registry.models import ModelVersion
from apps.registry.prediction import PredictionForm
from apps.registry.reading import json_shown
from apps.registry.services.predicting import prediction_send
from apps.registry.signature import signature_stored
from apps.registry.views.finding import model_find, person, version_find
from apps.registry.views.versions import version_context

ANSWER_SHOWN = 20_000


@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def predict(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Answer, time or error beside the form; with htmx that part alone. Who comes by the address gets the form."""
    model = model_find(request, name)
    version = version_find(model, number)
    if request.method != "POST":
        return redirect(f"{reverse('registry:version', args=[name, number])}#predict")
    deployments = [each for each in deployments_of([name], person(request)) if each.version == number]
    form = PredictionForm(
        request.POST,
        signature=signature_stored(version.signature),
        example=version.example,
        deployments=[(each.key, each.title) for each in deployments],
    )
    context: dict[str, Any] = {"prediction": form, "result": None, "failure": ""}
    status = 200
    if form.is_valid():
        context, status = _send(request, version, form)
    else:
        status = 422
    page = {**version_context(request, model, version), **context}
    template = "registry/_predict.html" if request.headers.get("HX-Request") else "registry/version.html"
    # htmx puts only good answers into the page; what is wrong is said inside.
    return render(request, template, page, status=200 if request.headers.get("HX-Request") else status)


def _send(request: HttpRequest, version: ModelVersion, form: PredictionForm) -> tuple[dict[str, Any], int]:
    try:
        payload = form.payload()
        key = form.cleaned_data["deployment"]
        answer = prediction_send(version=version, actor=person(request), deployment=key, payload=payload)
    except UserError as error:
        told = next((messages[0] for messages in error.errors.values()), "") or str(error)
        return {"prediction": form, "failure": told}, 422 if error.status == 400 else error.status
    shown = json_shown(answer.content)
    result = {"text": shown[:ANSWER_SHOWN], "is_cut": len(shown) > ANSWER_SHOWN, "seconds": answer.seconds}
    return {"prediction": form, "result": result}, 200
