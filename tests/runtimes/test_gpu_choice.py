"""The launch form says how many GPUs are free, or why there is none to choose."""

from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from apps.environments.services import environment_update
from apps.provisioning.gpus import gpus_counted
from apps.provisioning.models import Machine
from tests.factories import People, environment_running, notebook_version


def machine(name: str, *holders: str | None, alive: bool = True) -> None:
    rows = [
        {"index": index, "name": "NVIDIA L4", "memory_mb": 23034, "workspace": holder}
        for index, holder in enumerate(holders)
    ]
    until = timezone.now() + timedelta(minutes=1 if alive else -1)
    Machine.objects.update_or_create(name=name, defaults={"gpus": rows, "expires_at": until})


def shown(people: People, as_person: Any) -> str:
    notebook_version()
    url = reverse("environments:launch_module", args=["local-notebook"])
    return as_person(people.dana).get(url).content.decode()


def test_without_a_gpu_the_option_says_so(people: People, as_person: Any) -> None:
    page = shown(people, as_person)
    assert "This machine has no GPU." in page
    assert 'name="input-gpus" disabled' in page.replace(' class="form-select"', "").replace('id="id_input-gpus" ', "")


def test_as_many_can_be_chosen_as_one_machine_has_free(people: People, as_person: Any) -> None:
    machine("one", "somebody", None, None)
    machine("two", None)
    machine("gone", None, None, None, None, alive=False)
    counted = gpus_counted()
    assert (counted.free, counted.total, counted.most_free) == (3, 4, 2)
    page = shown(people, as_person)
    assert "3 of 4 are free now (NVIDIA L4)." in page
    options = page.partition('name="input-gpus"')[2].partition("</select>")[0]
    assert [f'value="{number}"' in options for number in range(4)] == [True, True, True, False]


def test_all_in_use_is_said_and_an_environment_may_keep_its_own(people: People, as_person: Any) -> None:
    machine("one", None)
    environment = environment_running(people, inputs={"gpus": 1})
    machine("one", str(environment.pk))
    assert "No GPU is free now: all 1 are in use (NVIDIA L4)." in shown(people, as_person)
    page = as_person(people.dana).get(reverse("environments:settings", args=[environment.pk])).content.decode()
    assert 'value="1" selected' in page.partition('name="input-gpus"')[2].partition("</select>")[0]
    environment_update(environment=environment, actor=people.dana, inputs={"gpus": 0})
