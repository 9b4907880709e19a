"""Every component renders with the context that it documents, with nothing that the content policy refuses."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django import forms
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.template.loader import get_template, render_to_string

TEMPLATES = Path(settings.BASE_DIR) / "templates"
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
STOP = {"label": "Stop", "url": "/stop", "method": "post", "icon": "player-stop", "hidden": {"a": "b"}}


class Launch(forms.Form):
    name = forms.CharField(help_text="Lower-case letters.")
    size = forms.ChoiceField(choices=[("s", "Small")], widget=forms.RadioSelect)
    gpu = forms.BooleanField(required=False)
    notes = forms.CharField(required=False, widget=forms.Textarea)


def render(component: str, /, **context: object) -> str:
    return render_to_string(f"components/{component}.html", context)


def test_no_template_has_inline_script_style_or_handler():
    inline = re.compile(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\bsrc=)|hx-on", re.IGNORECASE)
    wrong = {str(path): inline.findall(path.read_text()) for path in TEMPLATES.rglob("*.html")}
    assert not {path: found for path, found in wrong.items() if found}


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_every_template_compiles(path):
    get_template(str(path.relative_to(TEMPLATES)))


def test_every_icon_named_in_a_template_is_in_the_list():
    known = set((Path(settings.BASE_DIR) / "static/portal/icons.txt").read_text().split())
    named = {name for path in TEMPLATES.rglob("*.html") for name in re.findall(r'{% icon "([^"]+)"', path.read_text())}
    assert named <= known


def test_a_field_is_tied_to_its_help_and_its_error():
    form = Launch(data={"size": "s"})
    shown = render("field", field=form["name"])
    assert 'aria-invalid="true"' in shown
    assert 'aria-describedby="id_name_help id_name_error"' in shown
    assert 'id="id_name_error"' in shown


def test_a_field_without_error_is_not_marked():
    shown = render("field", field=Launch()["notes"])
    assert "aria-invalid" not in shown
    assert "optional" in shown


def test_radios_are_a_group_with_a_legend():
    shown = render("field", field=Launch(data={})["size"])
    assert "<fieldset" in shown
    assert 'aria-describedby="id_size_error"' in shown


def test_a_form_says_where_to_look():
    shown = render("form", form=Launch(data={}), submit="Launch", csrf_token="t")
    assert "Look at the marked fields" in shown
    assert "csrfmiddlewaretoken" in shown


def test_an_action_that_changes_something_is_a_form_with_a_token():
    shown = render(
        "page_header", heading="nb", primary=STOP, actions=[STOP], menu=[STOP, {"divider": True}], csrf_token="t"
    )
    assert shown.count("csrfmiddlewaretoken") == 3
    assert 'name="a" value="b"' in shown
    assert "<hr>" in shown


def test_a_header_follows_its_topic():
    shown = render("page_header", heading="nb", live={"topic": "environment:1", "url": "/e/1/header/"})
    assert 'data-live-topic="environment:1"' in shown
    assert 'data-live-fragment="/e/1/header/"' in shown


def test_a_disabled_action_says_why():
    assert "No free GPU" in render("action", action={"label": "Start", "url": "/", "disabled_reason": "No free GPU"})


def test_a_plan_shows_each_resource_and_its_attributes():
    attributes = [{"name": "port", "before": 8000, "after": None}, {"name": "token", "before": None, "after": "••••••"}]
    resources = [
        {"address": "slipway_volume.home", "label": "Your files", "action": "create"},
        {"address": "slipway_service.lab", "type": "slipway_service", "action": "replace", "attributes": attributes},
    ]
    shown = render("plan", plan={"resources": resources, "counts": {"create": 1, "replace": 1, "delete": 0}})
    assert "Your files" in shown
    assert "Replace" in shown
    assert "••••••" in shown
    assert "Destroy" not in shown


def test_an_empty_plan_is_said():
    assert "Nothing to change" in render("plan", plan={"resources": []})


def test_progress_with_and_without_an_estimate():
    steps = [{"label": "Planning", "state": "done"}, {"label": "Building", "state": "current", "detail": "2 of 4"}]
    usual = {"median_s": 9, "p90_s": 14}
    known = render("progress", steps=steps, elapsed_s=6, usual=usual, waiting_for="JupyterLab", actions=[STOP])
    assert "usually 9 s, 9 in 10 under 14 s" in known
    assert 'data-elapsed="6000"' in known
    assert re.search(r"data-progress-slow[^>]*hidden", known)
    assert "no estimate yet" in render("progress", steps=steps, elapsed_s=6, usual=None, done=1, total=4)
    assert "data-progress " not in render("progress", steps=steps, elapsed_s=6, failed=True)


def test_a_log_says_where_it_stands():
    line = {"n": 7, "at": NOW, "level": "error", "text": "<boom>"}
    log = {
        "id": "build",
        "title": "Build",
        "topic": "environment:1",
        "stream": "build",
        "lines": [line],
        "lines_url": "/l",
    }
    shown = render("log", log=log)
    assert 'data-last-line="7"' in shown
    assert "&lt;boom&gt;" in shown
    assert "data-live-log" not in render("log", log={**log, "topic": ""})
    assert 'data-last-line="0"' in render("log", log={**log, "lines": []})


def test_confirming_is_a_dialog_and_a_page():
    context = {"title": "Destroy nb", "url": "/d", "name": "nb", "lost": ["Your files"], "submit": "Destroy nb"}
    assert "<dialog" in render("confirm_name", dialog_id="destroy", csrf_token="t", **context)
    page = render("confirm_name", error="The name does not match.", **context)
    assert "<dialog" not in page
    assert 'aria-describedby="confirm-error"' in page


def test_the_rest_renders():
    render("tabs", tabs=[{"label": "Logs", "url": "#", "active": True, "count": 0}])
    render("facts", facts=[{"label": "Memory", "value": None, "meter": {"value": 2.1, "max": 4}}], stack=True)
    render(
        "filter_bar",
        q="x",
        selects=[{"name": "s", "options": [{"value": "", "label": "Any"}]}],
        target="#l",
        updated=NOW,
    )
    render("empty", title="None yet", action=STOP, remove={"label": "q", "url": "?"})
    render("notice", tone="bad", title="Crashed", diagnostic="x", actions=[STOP])
    render("presets", legend="Size", name="preset", options=[{"value": "s", "title": "Small", "data": {"data-a": 1}}])
    render("notification_list", notifications=[{"id": 1, "text": "t", "url": "/", "at": NOW, "unread": True}])
    render("timeline", entries=[{"text": "Started", "at": NOW}])
    render("pagination", next_url="?cursor=x", summary="1 to 50", target="#l")
    render("copy", value="3f0c", label="id")
    render("search_results", results=[{"title": "nb", "url": "/", "kind": "Environment"}], palette=True)
    render("sort_header", label="Name", field="name", ordering="-name", name=True)
    render("more_settings", fields=[Launch()["notes"]])


@pytest.mark.parametrize("status", ["400", "403", "403_csrf", "404", "429", "500"])
def test_error_pages_need_no_person_and_no_request(status):
    assert "<h1>" in render_to_string(f"errors/{status}.html", {"retry_after": 30})
    request = HttpRequest()
    request.user = AnonymousUser()
    assert "Go home" in render_to_string(f"errors/{status}.html", {"user": request.user})
