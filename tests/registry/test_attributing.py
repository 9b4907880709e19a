"""Who is named for a move through `/mlflow/`, and where rather nobody is."""

from apps.experiments.model_writes import Does, ModelWrite, Outcome
from apps.registry.services.attributing import Explained, answered, explain, since_it_is_there

MADE, REFUSED, UNDER_WAY, UNKNOWN = Outcome.MADE, Outcome.REFUSED, Outcome.UNDER_WAY, Outcome.UNKNOWN


def write(
    user: str,
    version: int | None,
    begun: int,
    ended: int | None = None,
    *,
    alias: str = "champion",
    does: Does = Does.ALIAS,
    outcome: Outcome = MADE,
) -> ModelWrite:
    end = begun + 1 if ended is None and outcome in (MADE, REFUSED) else ended
    return ModelWrite(f"{user}{begun}", does, alias, version, user, "", begun, end, 1.0, outcome)


def moves(found: Explained) -> list[tuple[int | None, int | None, str]]:
    return [(step.from_version, step.to_version, step.write.user if step.write else "nobody") for step in found.steps]


def explained(
    *writes: ModelWrite, at: int | None, now: int | None, unseen: tuple[ModelWrite, ...] = ()
) -> list[tuple[int | None, int | None, str]]:
    return moves(explain("champion", at=at, now=now, writes=[*writes, *unseen], seen=answered(writes)))


def test_each_of_two_people_is_named_for_their_own_move() -> None:
    assert explained(write("dana", 2, 0), write("mira", 3, 2), at=1, now=3) == [(1, 2, "dana"), (2, 3, "mira")]


def test_moved_there_and_back_is_two_moves() -> None:
    assert explained(write("dana", 2, 0), write("mira", 1, 2), at=1, now=1) == [(1, 2, "dana"), (2, 1, "mira")]


def test_nobody_is_named_where_the_calls_do_not_lead_to_where_it_is() -> None:
    assert explained(write("dana", 2, 0), at=1, now=3) == [(1, 3, "nobody")]
    assert explained(write("dana", 2, 0), at=1, now=None) == [(1, None, "nobody")]
    assert explained(at=1, now=3) == [(1, 3, "nobody")]


def test_nobody_is_named_for_an_earlier_place_that_later_calls_had_left() -> None:
    """Somebody outside has put it back to where dana's call had it: mira's, answered before, does not show."""
    assert explained(write("dana", 2, 0), write("mira", 3, 2), at=1, now=2) == [(1, 2, "nobody")]


def test_a_call_answered_after_mlflow_was_read_comes_later() -> None:
    late = write("mira", 3, 2)
    found = explain("champion", at=1, now=2, writes=[write("dana", 2, 0), late], seen={"dana0"})
    assert moves(found) == [(1, 2, "dana")]
    assert found.used == {"dana0"}
    assert explained(at=1, now=1, unseen=(late,)) == []


def test_nobody_is_named_where_calls_of_two_people_overlapped() -> None:
    assert explained(write("dana", 2, 0, 3), write("mira", 2, 1, 2), at=1, now=2) == [(1, 2, "nobody")]
    assert explained(write("dana", 2, 0, 3), write("mira", 3, 1, 4), at=1, now=3) == [(1, 3, "nobody")]
    broken = write("mira", 2, 0, 5, outcome=UNKNOWN)
    assert explained(broken, write("dana", 2, 1, 2), at=1, now=2) == [(1, 2, "nobody")]


def test_calls_of_one_person_may_overlap() -> None:
    assert explained(write("dana", 2, 0, 3), write("dana", 2, 1, 2), at=1, now=2) == [(1, 2, "dana")]


def test_calls_about_another_alias_disturb_nobody() -> None:
    other = write("mira", 5, 1, 2, alias="shadow")
    assert explained(write("dana", 2, 0, 3), other, at=1, now=2) == [(1, 2, "dana")]


def test_a_refused_or_broken_call_moved_nothing_as_far_as_is_known() -> None:
    assert explained(write("dana", 2, 0, outcome=REFUSED), at=1, now=2) == [(1, 2, "nobody")]
    assert explained(write("dana", 2, 0, 1, outcome=UNKNOWN), at=1, now=2) == [(1, 2, "nobody")]


def test_a_call_under_way_that_would_explain_it_is_waited_for() -> None:
    under_way = write("dana", 2, 0, outcome=UNDER_WAY)
    found = explain("champion", at=1, now=2, writes=[under_way], seen=())
    assert (found.waits, found.steps) == (True, [])
    assert explained(under_way, at=1, now=3) == [(1, 3, "nobody")]
    assert explained(under_way, at=1, now=1) == []


def test_deleting_the_version_or_the_model_takes_its_aliases_away() -> None:
    version = write("dana", 1, 0, alias="", does=Does.VERSION)
    assert explained(version, at=1, now=None) == [(1, None, "dana")]
    assert explained(version, at=2, now=2) == []
    assert explained(write("dana", None, 0, alias="", does=Does.MODEL), at=2, now=None) == [(2, None, "dana")]


def test_what_was_done_to_an_earlier_model_of_the_name_is_not_this_ones() -> None:
    early, gone = write("dana", 2, 0), write("dana", None, 2, alias="", does=Does.MODEL)
    late = write("mira", 1, 4)
    assert since_it_is_there([early, gone, late]) == [late]
    refused = write("dana", None, 2, alias="", does=Does.MODEL, outcome=REFUSED)
    assert since_it_is_there([early, refused, late]) == [early, refused, late]
