"""The pages of policies by role, with forms as a browser without JavaScript sends them."""

from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

if TYPE_CHECKING:
    from tests.factories import People

DENY = (
    'package slipway\n\ndeny contains {"rule": "no", "msg": "No.", "cure": "Ask."} if input.request.team == "vision"\n'
)


def browser(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def policy(people: "People", **changed: Any) -> Any:
    from apps.policies.services import policy_create

    return policy_create(**{"actor": people.pete, "slug": "no", "title": "No", "rego": DENY, **changed})


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_only_those_who_see_everything_have_policies(people: "People") -> None:
    policy(people)
    for person, codes in ((people.dana, (403, 404)), (people.ada, (200, 200)), (people.pete, (200, 200))):
        client = browser(person)
        assert (client.get("/policies/").status_code, client.get("/policies/no/").status_code) == codes, person
    assert "Write policy" not in text(browser(people.ada).get("/policies/"))
    assert "/policies/" not in text(browser(people.dana).get("/"))
    assert "/policies/" in text(browser(people.ada).get("/"))


def test_auditors_read_and_do_not_write(people: "People") -> None:
    from apps.policies.models import Policy

    policy(people)
    ada = browser(people.ada)
    for path in ("enable", "disable", "edit", "settings"):
        assert ada.post(f"/policies/no/{path}/", {"rego": DENY, "title": "x"}).status_code == 403
    assert ada.get("/policies/new/").status_code == 403
    assert ada.post("/policies/inputs/local-notebook/").status_code == 403
    assert not Policy.objects.get().enabled


def test_the_empty_list_offers_the_examples_and_each_can_be_stored(people: "People") -> None:
    from apps.policies.examples import EXAMPLES
    from apps.policies.models import Policy

    pete = browser(people.pete)
    assert all(one.title in text(pete.get("/policies/")) for one in EXAMPLES)
    for one in EXAMPLES:
        form = pete.get(f"/policies/new/?example={one.slug}").context["form"]
        sent = {
            **form.initial,
            "scope": "",
            "note": "",
            "do": "store",
            "rego": form.initial["rego"].replace("\n", "\r\n"),
        }
        assert pete.post("/policies/new/", sent).status_code == 302
    assert [row.current_version.rego for row in Policy.objects.order_by("slug")] == [
        one.rego for one in sorted(EXAMPLES, key=lambda one: one.slug)
    ]


def test_a_new_version_is_shown_beside_the_one_before(people: "People") -> None:
    policy(people)
    pete = browser(people.pete)
    sent = {"rego": DENY.replace("No.", "Never."), "note": "Firmer", "expected": "1", "do": "store"}
    assert pete.post("/policies/no/edit/", sent).status_code == 302
    shown = text(pete.get("/policies/no/versions/2/"))
    assert "<del>- deny contains" in shown
    assert "<ins>+ deny contains" in shown
    stale = pete.post("/policies/no/edit/", {**sent, "rego": DENY.replace("No.", "Perhaps.")})
    assert stale.status_code == 422
    assert "Version 2 was written meanwhile" in text(stale)


def test_a_syntax_error_names_line_and_column_and_loses_nothing(people: "People") -> None:
    policy(people)
    answer = browser(people.pete).post("/policies/no/edit/", {"rego": DENY.replace("==", "== =="), "do": "test"})
    assert answer.status_code == 422
    assert "Line 3, column" in text(answer)
    assert "Ask." in text(answer)


@pytest.mark.parametrize("sent", [{}, {"rego": ""}, {"rego": "x" * 70_000}, {"rego": DENY, "expected": "9" * 30}])
def test_empty_and_huge_texts_are_refused(people: "People", sent: dict[str, str]) -> None:
    policy(people)
    assert browser(people.pete).post("/policies/no/edit/", sent).status_code == 422


def test_switching_is_in_the_audit_log(people: "People") -> None:
    from apps.audit.models import AuditEvent

    policy(people)
    pete = browser(people.pete)
    for verb in ("enable", "enable", "disable"):
        assert pete.post(f"/policies/no/{verb}/").status_code == 302
    events = AuditEvent.objects.filter(target_type="policy").order_by("id").values_list("action", flat=True)
    assert list(events) == ["policies:policy:created", "policies:policy:enabled", "policies:policy:disabled"]


def test_the_scope_names_one_thing(people: "People") -> None:
    from apps.policies.models import Policy

    policy(people)
    pete = browser(people.pete)
    assert pete.post("/policies/no/settings/", {"title": "Nothing", "scope": "team:vision"}).status_code == 302
    row = Policy.objects.get()
    assert (row.title, row.scope, row.team.slug) == ("Nothing", "team", "vision")  # type: ignore[union-attr]
    assert "team Vision" in text(pete.get("/policies/no/"))
    assert pete.post("/policies/no/settings/", {"title": "Nothing", "scope": "team:gone"}).status_code == 422


def test_the_table_of_a_module_fixes_hides_and_restricts(people: "People") -> None:
    from apps.policies.models import InputPolicy
    from tests.factories import notebook_version

    notebook_version()
    pete = browser(people.pete)
    address = "/policies/inputs/local-notebook/"
    assert "memory_gb" in text(pete.get(address))
    sent = {
        "effect-cpu": "fix", "value-cpu": "1",
        "effect-memory_gb": "limit", "maximum-memory_gb": "4", "value-memory_gb": "2",
    }  # fmt: skip
    assert pete.post(address, sent).status_code == 302
    assert InputPolicy.objects.get().rules == {"cpu": {"fix": 1}, "memory_gb": {"maximum": 4, "default": 2}}
    assert pete.post(f"{address}?team=vision", {"effect-cpu": "fix", "value-cpu": "2"}).status_code == 302
    shown = text(pete.get(f"{address}?team=vision"))
    assert "everybody: fixed at 1" in shown

    answer = browser(people.dana).get("/environments/launch/local-notebook/?team=vision&memory_gb=64")
    page = text(answer)
    assert "Set by your platform team." in page
    assert 'name="input-cpu"' not in page
    assert answer.context["inputs"].initial["memory_gb"] == 4

    assert pete.post(address, {}).status_code == 302
    assert InputPolicy.objects.get().team.slug == "vision"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"effect-cpu": "fix"}, "Give the value"),
        ({"effect-cpu": "fix", "value-cpu": "four"}, "Enter a number"),
        ({"effect-cpu": "limit"}, "Give options, a bound or a default"),
        ({"effect-cpu": "limit", "maximum-cpu": "0.1"}, "own default"),
        ({"effect-cpu": "magic"}, "Choose one of the effects"),
        ({"value-cpu": "2"}, "Choose what to do with it"),
        ({"effect-cpu": "hide", "maximum-cpu": "2"}, "empty them"),
        ({"effect-cpu": "limit", "minimum-cpu": "1e9999", "value-cpu": "1"}, "usual size"),
    ],
)
def test_what_makes_no_sense_is_marked_beside_its_variable(people: "People", cells: dict[str, str], words: str) -> None:
    from tests.factories import notebook_version

    notebook_version()
    answer = browser(people.pete).post("/policies/inputs/local-notebook/", cells)
    assert answer.status_code == 422
    assert words in text(answer)


def test_a_rule_for_a_variable_that_is_gone_is_flagged_and_can_be_removed(people: "People") -> None:
    from apps.policies.models import InputPolicy
    from tests.factories import notebook_version

    version = notebook_version()
    InputPolicy.objects.create(module=version.module, rules={"gone": {"fix": 1}})
    pete = browser(people.pete)
    address = "/policies/inputs/local-notebook/"
    assert "has no variable “gone”" in text(pete.get(address))
    assert browser(people.dana).get("/environments/launch/local-notebook/").status_code == 200
    assert pete.post(address, {"effect-cpu": "fix", "value-cpu": "1"}).status_code == 302
    assert InputPolicy.objects.get().rules.keys() == {"gone", "cpu"}
    assert pete.post(address, {"remove-gone": "1"}).status_code == 302
    assert not InputPolicy.objects.exists()


def test_lists_ask_the_database_as_often_for_many_as_for_one(people: "People") -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from apps.policies.models import InputPolicy
    from tests.factories import notebook_version

    module = notebook_version().module
    pete = browser(people.pete)
    counts = []
    for slug, team in (("first", people.vision), ("second", people.churn), ("third", people.pricing)):
        policy(people, slug=slug)
        InputPolicy.objects.create(module=module, team=team, rules={"cpu": {"maximum": 2}})
        found = []
        for path in ("/policies/", "/policies/inputs/", "/api/v1/policies/", "/api/v1/input-policies/"):
            with CaptureQueriesContext(connection) as captured:
                assert pete.get(path).status_code == 200
            found.append(len(captured))
        counts.append(found)
    assert counts[1] == counts[2]
    assert max(counts[2]) <= 12


def test_rules_are_not_tried_without_end(people: "People", settings: Any) -> None:
    from django.core.cache import cache

    cache.clear()
    rates = {**settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "trials": "1/day"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    policy(people)
    pete, form = browser(people.pete), {"rego": DENY, "expected": "1", "note": "", "do": "test"}
    assert pete.post("/policies/no/edit/", form).status_code == 200
    page = pete.post("/policies/no/edit/", {**form, "rego": f"# mine\n{DENY}"})
    assert (page.status_code, int(page["Retry-After"]) > 0) == (429, True)
    assert "You have tried rules very often in a short time. Try again in" in text(page)
    # What was typed is not lost, and can be stored.
    assert "# mine" in text(page)
    new = {"slug": "other", "title": "Other", "scope": "", "rego": DENY, "note": "", "do": "test"}
    assert pete.post("/policies/new/", new).status_code == 429
    api = pete.post("/api/v1/policies/no/test/", {}, content_type="application/json")
    assert (api.status_code, api.json()["code"], int(api["Retry-After"]) > 0) == (429, "core:throttled", True)
    assert pete.post("/policies/no/edit/", {**form, "do": "store"}).status_code == 302
