"""What the pages of models say: no more than is known, and names with angle brackets whole."""

from typing import Any

import pytest
from django import forms
from django.template.loader import render_to_string

from apps.accounts.models import Team
from apps.registry.forms import NEW, RegisterForm
from apps.registry.models import ModelVersion, RegisteredModel
from apps.registry.reading import metrics_of_version
from tests.cast import Cast, browser

pytestmark = pytest.mark.django_db


def version_make(team: Team, details: str, **more: Any) -> ModelVersion:
    model = RegisteredModel.objects.create(name="churn.quiet", born=1, team=team, fingerprint="", version_count=1)
    return ModelVersion.objects.create(
        model=model, version=1, status="READY", details=details, **{"fingerprint": "", **more}
    )


def test_the_empty_list_names_team_and_model_in_brackets(cast: Cast) -> None:
    shown = browser(cast.dana).get("/models/").content.decode()
    assert "registered_model_name=&quot;&lt;team&gt;.&lt;name&gt;&quot;" in shown


@pytest.mark.parametrize(
    ("details", "said"), [("pending", "Not read yet."), ("unreadable", "Not known: the files cannot be read.")]
)
def test_what_was_not_read_is_not_said_to_be_missing(cast: Cast, details: str, said: str) -> None:
    version_make(cast.churn, details)
    shown = browser(cast.dana).get("/models/churn.quiet/1/").content.decode()
    assert shown.count(said) == 3
    for words in ("has no signature", "names none", "None was logged with the model"):
        assert words not in shown


def test_the_portals_own_tags_are_not_shown_as_somebodys(cast: Cast) -> None:
    files = [{"path": "MLmodel", "size": 10, "sha256": ""}]
    version_make(cast.churn, "read", tags={"slipway.request": "k4x", "stage": "shadow"}, files=files)
    shown = browser(cast.dana).get("/models/churn.quiet/1/").content.decode()
    assert "shadow" in shown
    assert "slipway.request" not in shown
    assert "1 file<" in shown


def test_the_address_of_a_prediction_leads_to_its_form(cast: Cast) -> None:
    version_make(cast.churn, "read")
    answer = browser(cast.dana).get("/models/churn.quiet/1/predict/")
    assert (answer.status_code, answer["Location"]) == (302, "/models/churn.quiet/1/#predict")
    assert browser(cast.mallory).get("/models/churn.quiet/1/predict/").status_code == 404


class Asked(forms.Form):
    age = forms.FloatField()


def test_values_that_cannot_be_sent_are_not_called_unsaved(cast: Cast) -> None:
    version = version_make(cast.churn, "read")
    shown = render_to_string(
        "registry/_predict.html", {"prediction": Asked({}), "model": version.model, "version": version}
    )
    assert "Nothing was sent. Look at the marked field." in shown


def test_the_name_of_a_new_model_is_not_called_optional() -> None:
    given: dict[str, Any] = {"models": [("runs:/1/m", "m")], "names": ["churn.quiet"], "team": None}
    assert RegisterForm(**given).fields["new_name"].required
    assert not RegisterForm({"name": "churn.quiet"}, **given).fields["new_name"].required
    form = RegisterForm({"name": NEW, "new_name": " "}, **given)
    assert form.errors["new_name"] == ["Give the new model a name, or choose one that is there."]
    assert "required" not in str(RegisterForm(**given)["new_name"])


def point(key: str, value: Any, step: int, **more: Any) -> dict[str, Any]:
    return {"key": key, "value": value, "step": step, **more}


CURVES = {
    "data": {"metrics": [point("loss", 0.1, 29), point("auc", 0.9, 0), point("odd", "NaN", 0)]},
    "outputs": {"model_outputs": [{"model_id": "m-1", "step": "0"}]},
}
COPIED = [point("loss", 1.0, 0), point("auc", 0.8, 0), point("odd", 0.0, 0), point("lift", 3.0, 0)]


def test_a_version_says_the_end_of_a_curve_not_its_beginning() -> None:
    assert metrics_of_version(COPIED, CURVES) == {"loss": 0.1, "auc": 0.8, "odd": "NaN", "lift": 3.0}


def test_of_several_models_of_a_run_nobody_knows_where_on_the_curve_each_was() -> None:
    two = {**CURVES, "outputs": {"model_outputs": [{"model_id": "m-1"}, {"model_id": "m-2"}]}}
    assert metrics_of_version(COPIED, two) == {"auc": 0.8, "lift": 3.0}


def test_a_checkpoint_keeps_the_values_of_its_step() -> None:
    steps = {**CURVES, "outputs": {"model_outputs": [{"model_id": "m-1", "step": 0}, {"model_id": "m-2", "step": "9"}]}}
    assert metrics_of_version(COPIED, steps) == {"loss": 1.0, "auc": 0.8, "odd": 0.0, "lift": 3.0}


def test_what_was_measured_on_a_data_set_is_the_models_own() -> None:
    assert metrics_of_version([point("loss", 0.4, 0, dataset_name="test")], CURVES) == {"loss": 0.4}
    assert metrics_of_version([], CURVES) == {"loss": 0.1, "auc": 0.9, "odd": "NaN"}
    assert metrics_of_version(None, {}) == {}
