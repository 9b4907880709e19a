"""One's own messages."""

import pytest
from django.urls import reverse

from apps.core.models import LiveEvent
from apps.notifications.models import Notification
from apps.notifications.services import notifications_mark_read, notify
from tests.cast import Cast, browser


@pytest.fixture
def message(cast: Cast) -> Notification:
    notify(user=cast.dana, text="nb-churn stops in 15 min", url="/people/", action="Extend 2 h", level="action")
    return Notification.objects.get()


def test_a_key_is_used_once(cast: Cast) -> None:
    for _ in range(2):
        notify(user=cast.dana, text="once", key="warn:1")
    assert Notification.objects.count() == 1
    assert LiveEvent.objects.filter(kind="inbox").count() == 1


def test_open_pages_hear_the_number_of_unread(cast: Cast, message: Notification) -> None:
    notify(user=cast.dana, text="two")
    notifications_mark_read(user=cast.dana, ids=[message.pk])
    events = LiveEvent.objects.filter(topic=f"user:{cast.dana.pk}").order_by("id")
    assert [event.data["count"] for event in events] == [1, 2, 1]
    assert {event.audience for event in events} == {f"user:{cast.dana.pk}"}


def test_the_inbox_shows_own_messages_only(cast: Cast, message: Notification) -> None:
    url = reverse("notifications:inbox")
    assert "nb-churn stops" in browser(cast.dana).get(url).content.decode()
    assert "nb-churn stops" in browser(cast.dana).get(reverse("notifications:menu")).content.decode()
    assert "nb-churn stops" not in browser(cast.mira).get(url).content.decode()


def test_following_a_message_marks_it_as_read_and_leads_on(cast: Cast, message: Notification) -> None:
    url = reverse("notifications:follow", args=[message.pk])
    assert browser(cast.mira).post(url).status_code == 404
    assert browser(cast.dana).get(url).status_code == 405
    assert browser(cast.dana).post(url)["Location"] == "/people/"
    message.refresh_from_db()
    assert message.read_at is not None


def test_a_message_leads_nowhere_else(cast: Cast) -> None:
    notify(user=cast.dana, text="odd", url="https://evil.example/")
    url = reverse("notifications:follow", args=[Notification.objects.get().pk])
    assert browser(cast.dana).post(url)["Location"] == reverse("notifications:inbox")


def test_all_are_marked_as_read_at_once(cast: Cast, message: Notification) -> None:
    notify(user=cast.mira, text="hers")
    client = browser(cast.dana)
    client.post(reverse("notifications:mark_all_read"))
    assert list(Notification.objects.unread().values_list("user", flat=True)) == [cast.mira.pk]
    assert "Mark all as read" not in client.get(reverse("notifications:inbox")).content.decode()


def test_the_unread_ones_alone(cast: Cast, message: Notification) -> None:
    notify(user=cast.dana, text="read one")
    notifications_mark_read(user=cast.dana, ids=[Notification.objects.get(text="read one").pk])
    page = browser(cast.dana).get(reverse("notifications:inbox"), {"show": "unread"}).content.decode()
    assert "nb-churn" in page
    assert "read one" not in page
