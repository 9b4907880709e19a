"""Every page of accounts, notifications, audit and home, for everybody who may come."""

import pytest
from django.urls import reverse

from apps.accounts.models import Membership, User
from tests.cast import Cast, browser

PAGES = ("home:home", "home:search", "accounts:account", "accounts:password", "accounts:people", "notifications:inbox")
PEOPLE = ("dana", "mira", "pete", "ada", "mallory")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_sends_strangers_to_sign_in_and_back(cast: Cast, page: str) -> None:
    answer = browser(None).get(reverse(page))
    assert answer.status_code == 302
    assert answer["Location"] == f"{reverse('accounts:sign_in')}?next={reverse(page)}"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", PEOPLE)
def test_a_page_opens_for_everybody_who_signed_in(cast: Cast, page: str, name: str) -> None:
    answer = browser(getattr(cast, name)).get(reverse(page))
    assert answer.status_code == 200
    assert answer["X-Request-Id"]


@pytest.mark.parametrize(
    ("name", "status"), [("dana", 404), ("mira", 404), ("mallory", 404), ("pete", 200), ("ada", 200)]
)
def test_the_audit_page_is_unknown_to_people_of_teams(cast: Cast, name: str, status: int) -> None:
    assert browser(getattr(cast, name)).get(reverse("audit:events")).status_code == status


@pytest.mark.parametrize("page", ["accounts:person_new", "accounts:team_new"])
@pytest.mark.parametrize(("name", "status"), [("dana", 404), ("mira", 404), ("ada", 404), ("pete", 200)])
def test_adding_people_and_teams_is_unknown_to_all_but_platform_engineers(
    cast: Cast, page: str, name: str, status: int
) -> None:
    client = browser(getattr(cast, name))
    assert client.get(reverse(page)).status_code == status
    if status == 404:
        assert client.post(reverse(page), {"username": "eve", "name": "Eve"}).status_code == 404
        assert not User.objects.filter(username="eve").exists()


WRITES = (
    ("accounts:sign_out", ()),
    ("accounts:profile_save", ()),
    ("accounts:preferences_save", ()),
    ("accounts:theme", ()),
    ("accounts:token_new", ()),
    ("notifications:mark_all_read", ()),
)


@pytest.mark.parametrize(("page", "arguments"), WRITES)
def test_a_write_is_not_done_by_a_get(cast: Cast, page: str, arguments: tuple[str, ...]) -> None:
    assert browser(cast.dana).get(reverse(page, args=arguments)).status_code == 405


def test_people_shows_only_the_teams_a_person_sees(cast: Cast) -> None:
    page = browser(cast.dana).get(reverse("accounts:people")).content.decode()
    assert "Vision" in page
    assert "Mallory" not in page
    assert "Add to Vision" not in page
    assert "Pricing" in browser(cast.pete).get(reverse("accounts:people")).content.decode()


def test_a_manager_adds_a_person_by_e_mail_address_and_takes_them_out_again(cast: Cast) -> None:
    client = browser(cast.mira)
    answer = client.post(
        reverse("accounts:member_add", args=["vision"]), {"person": "MALLORY@example.com", "role": "member"}
    )
    assert answer.status_code == 302
    row = Membership.objects.get(team=cast.vision, user=cast.mallory)
    client.post(reverse("accounts:member_role", args=["vision", row.pk]), {"role": "manager"})
    row.refresh_from_db()
    assert row.role == "manager"
    client.post(reverse("accounts:member_remove", args=["vision", row.pk]))
    assert not Membership.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize(("name", "status"), [("dana", 403), ("ada", 403), ("mallory", 404)])
def test_members_and_strangers_change_no_team(cast: Cast, name: str, status: int) -> None:
    client, row = browser(getattr(cast, name)), Membership.objects.get(user=cast.mira, team=cast.vision)
    add = client.post(reverse("accounts:member_add", args=["vision"]), {"person": "ada", "role": "member"})
    assert add.status_code == status
    assert client.post(reverse("accounts:member_remove", args=["vision", row.pk])).status_code == status
    assert Membership.objects.filter(team=cast.vision).count() == 2


def test_the_last_manager_cannot_leave_and_the_page_says_why(cast: Cast) -> None:
    row = Membership.objects.get(user=cast.mira, team=cast.vision)
    answer = browser(cast.mira).post(reverse("accounts:member_remove", args=["vision", row.pk]))
    assert answer.status_code == 409
    assert "Make somebody else a manager first" in answer.content.decode()


def test_an_unknown_person_is_said_beside_the_field(cast: Cast) -> None:
    answer = browser(cast.mira).post(
        reverse("accounts:member_add", args=["vision"]), {"person": "nobody", "role": "member"}
    )
    assert answer.status_code == 422
    assert "Nobody signs in with this username" in answer.content.decode()


def test_a_platform_engineer_adds_a_person_whose_first_password_is_shown_once(cast: Cast) -> None:
    answer = browser(cast.pete).post(reverse("accounts:person_new"), {"username": "zoe", "first_name": "Zoe"})
    assert answer.status_code == 201
    assert answer["Cache-Control"].startswith("max-age=0")
    assert User.objects.get(username="zoe").check_password(answer.context["first_password"])
    again = browser(cast.pete).post(reverse("accounts:person_new"), {"username": "zoe"})
    assert again.status_code == 422


def test_a_platform_engineer_adds_a_team_with_its_manager(cast: Cast) -> None:
    answer = browser(cast.pete).post(reverse("accounts:team_new"), {"name": "Fraud & Risk", "manager": "dana"})
    assert answer.status_code == 302
    assert Membership.objects.get(team__slug="fraud-risk").user == cast.dana


HOSTILE = ("\x00", "a\x00b", "x" * 10_000, "'; DROP TABLE--", "%", "\\", "\u202e", "🙂" * 200, "-1", "' OR 1=1")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_breaks_no_page(cast: Cast, text: str) -> None:
    client = browser(cast.pete)
    for page in ("home:search", "home:home", "accounts:people", "notifications:inbox", "audit:events"):
        query = {"q": text, "team": text, "cursor": text, "actor": text, "since": text, "area": text, "show": text}
        assert client.get(reverse(page), query).status_code in (200, 400)
    for page in ("accounts:profile_save", "accounts:token_new", "accounts:team_new", "accounts:person_new"):
        fields = {"first_name": text, "name": text, "username": text, "manager": text, "scope": text, "email": text}
        assert client.post(reverse(page), fields).status_code in (201, 302, 400, 422)
    for role in (text, "member"):
        fields = {"person": text, "role": role}
        assert client.post(reverse("accounts:member_add", args=["vision"]), fields).status_code in (400, 422)


def test_preferences_change_theme_zone_and_keys(cast: Cast) -> None:
    client = browser(cast.dana)
    fields = {"theme": "dark", "time_zone": "Asia/Tokyo"}
    assert client.post(reverse("accounts:preferences_save"), fields).status_code == 302
    cast.dana.refresh_from_db()
    assert (cast.dana.theme, cast.dana.time_zone, cast.dana.shortcuts) == ("dark", "Asia/Tokyo", False)
    assert 'data-bs-theme="dark"' in client.get("/accounts/").content.decode()
    assert client.post(reverse("accounts:preferences_save"), {"theme": "pink"}).status_code == 422


@pytest.mark.parametrize(("target", "lands"), [("/inbox/", "/inbox/"), ("https://evil.example/", "/"), ("//evil", "/")])
def test_the_theme_switch_leads_back_into_the_portal_only(cast: Cast, target: str, lands: str) -> None:
    answer = browser(cast.dana).post(reverse("accounts:theme"), {"theme": "light", "next": target})
    assert answer["Location"] == lands


def test_an_unknown_theme_is_refused_and_not_kept(cast: Cast) -> None:
    assert browser(cast.dana).post(reverse("accounts:theme"), {"theme": "pink"}).status_code == 400
    cast.dana.refresh_from_db()
    assert cast.dana.theme == "auto"


def test_teams_of_many_people_are_folded_and_paged(cast: Cast) -> None:
    many = [User(username=f"m{number:03d}", first_name="M") for number in range(130)]
    Membership.objects.bulk_create(Membership(user=user, team=cast.vision) for user in User.objects.bulk_create(many))
    client = browser(cast.pete)
    shown = {item["entry"].team.slug: item for item in client.get("/accounts/people/").context["teams_shown"]}
    assert [slug for slug, item in shown.items() if item["is_open"]] == ["churn", "pricing"]
    assert (shown["vision"]["entry"].count, shown["vision"]["form"]) == (132, None)
    first = client.get("/accounts/people/?team=vision")
    (only,) = first.context["teams_shown"]
    assert (len(only["entry"].memberships), only["entry"].count, only["entry"].may_manage) == (100, 132, True)
    second = client.get(f"/accounts/people/{first.context['next_url']}")
    assert len(second.context["teams_shown"][0]["entry"].memberships) == 32
    # A refused entry is shown where it was made, whatever is folded.
    answer = client.post("/accounts/people/vision/add/", {"person": "nobody", "role": "member"})
    assert answer.status_code == 422
    assert b"nobody" in answer.content
