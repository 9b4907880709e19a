"""A run's note, written by two at once: nobody overwrites what they have not seen."""

from typing import Any

import pytest

from apps.audit.models import AuditEvent
from apps.experiments.services.run_notes import note_mark
from tests.cast import Cast, browser, cast_make
from tests.experiments.run_making import Study, study_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    return cast_make()


@pytest.fixture
def study(tracker: Any, cast: Cast) -> Study:
    return study_make(tracker, cast.vision)


def note_of(study: Study, run_id: str) -> str:
    tags = {tag["key"]: tag["value"] for tag in study.tracker.get(run_id)["data"]["tags"]}
    return str(tags.get("mlflow.note.content", ""))


def test_the_second_of_two_forms_is_shown_the_first_ones_note(study: Study, cast: Cast) -> None:
    run_id = study.run(tags={"mlflow.note.content": "as it was"})
    address, seen = f"/experiments/runs/{run_id}/note/", note_mark("as it was")
    for form in (f"/experiments/runs/{run_id}/", address):
        assert f'name="seen" value="{seen}"' in browser(cast.dana).get(form).content.decode()
    assert browser(cast.dana).post(address, {"note": "**mine**", "seen": seen}).status_code == 302
    answer = browser(cast.dana).post(address, {"note": "theirs", "seen": seen})
    assert answer.status_code == 409
    shown = answer.content.decode()
    assert "<strong>mine</strong>" in shown
    assert "theirs" in shown
    assert note_of(study, run_id) == "**mine**"
    # Sent once more from that page, it is what they want.
    again = note_mark("**mine**")
    assert f'name="seen" value="{again}"' in shown
    assert browser(cast.dana).post(address, {"note": "theirs", "seen": again}).status_code == 302
    assert note_of(study, run_id) == "theirs"
    events = AuditEvent.objects.filter(action="experiments:run:note-written").order_by("pk")
    assert [(event.before["note"], event.after["note"]) for event in events] == [
        ("as it was", "**mine**"),
        ("**mine**", "theirs"),
    ]


def test_a_note_in_its_cell_does_not_take_anothers_away(study: Study, cast: Cast) -> None:
    run_id = study.run(tags={"mlflow.note.content": "as it was"})
    dana = browser(cast.dana)
    first = dana.post("/experiments/notes/", {"run": run_id, "note": "mine", "before": "as it was"})
    assert (first.status_code, first.content) == (200, b"mine")
    second = dana.post("/experiments/notes/", {"run": run_id, "note": "theirs", "before": "as it was"})
    assert (second.status_code, second.content) == (409, b"mine")
    assert note_of(study, run_id) == "mine"
    assert dana.post("/experiments/notes/", {"run": run_id, "note": "theirs", "before": "mine"}).status_code == 200
    assert note_of(study, run_id) == "theirs"


def test_the_same_text_twice_is_no_conflict(study: Study, cast: Cast) -> None:
    run_id = study.run()
    for _ in range(2):
        answer = browser(cast.dana).post(f"/experiments/runs/{run_id}/note/", {"note": "once", "seen": note_mark("")})
        assert answer.status_code == 302
    assert AuditEvent.objects.filter(action="experiments:run:note-written").count() == 1
