"""Whatever way a text is cut, and whatever way its pieces are merged, clients render the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core import utf16
from streamsink.core.drafts import DataDraft, Draft, Drafts, Mode, TextDraft, Texts, data_draft
from streamsink.core.events import AGENT_CUSTOM, AGENT_MESSAGE, AGENT_REASONING, AGENT_TOOL_CALL, Envelope, Record
from tests.support.rendering import render

if TYPE_CHECKING:
    from collections.abc import Iterable

ENVELOPE = Envelope("t", "c1", "agent")
LONGEST = Envelope('"' * 200, '"' * 128, '"' * 100)
LETTERS = st.sampled_from(["a", "é", "漢", "😀", "👩‍🚀", "\x00", '"', "\\", "\n", "\ud83d", "\u2028"])
TARGETS = st.sampled_from([AGENT_MESSAGE, AGENT_REASONING, AGENT_TOOL_CALL])
modes: st.SearchStrategy[Mode] = st.sampled_from(["append", "append", "append", "replace"])
said = st.lists(st.tuples(TARGETS, st.sampled_from(["k1", "k2"]), st.lists(LETTERS, max_size=40).map("".join), modes))


def events(records: Iterable[Record]) -> list[tuple[str, dict[str, Any]]]:
    return [(record.target, msgspec.json.decode(record.body)) for record in records]


def recorded(drafts: Iterable[Draft], max_bytes: int = 65_536, envelope: Envelope = ENVELOPE) -> list[Record]:
    return [record for draft in drafts for record in draft.records(envelope, 1, max_bytes)]


def pieces(said: Iterable[tuple[str, str, str, Mode]]) -> list[TextDraft]:
    texts = Texts()
    made = [texts.piece(target, key, text, mode, at_ms=1) for target, key, text, mode in said]
    return [draft for draft in made if draft is not None]


def expected(said: Iterable[tuple[str, str, str, Mode]]) -> dict[tuple[str, str], str]:
    result: dict[tuple[str, str], str] = {}
    for target, key, text, mode in said:
        before = result.get((target, key), "") if mode == "append" else ""
        result[target, key] = before + utf16.clean(text)
    return result


def merged(drafts: Iterable[Draft], cuts: Iterable[bool]) -> list[Draft]:
    """The drafts in batches that end wherever ``cuts`` says so."""
    result: list[Draft] = []
    waiting = Drafts()
    for draft, cut in zip(drafts, cuts, strict=False):
        waiting.add(draft)
        if cut:
            result.extend(waiting.take())
    return [*result, *waiting.take()]


@given(said, st.data())
def test_any_split_and_any_merge_render_the_same_text(
    said: list[tuple[str, str, str, Mode]], data: st.DataObject
) -> None:
    drafts = pieces(said)
    cuts = data.draw(st.lists(st.booleans(), min_size=len(drafts), max_size=len(drafts)))

    records = recorded(merged(drafts, cuts), max_bytes=data.draw(st.integers(600, 2_000)))

    assert render(events(records)) == expected(said)


@given(said, st.integers(1_024, 3_000))
def test_no_record_of_a_text_is_larger_than_allowed(said: list[tuple[str, str, str, Mode]], max_bytes: int) -> None:
    drafts = Drafts()
    drafts.extend(pieces([(target, key, text * 50, mode) for target, key, text, mode in said]))

    records = recorded(drafts, max_bytes, LONGEST)

    # 256 bytes for seq, epoch and the invocation around it.
    assert max((len(record.body) for record in records), default=0) <= max_bytes - (256 if max_bytes > 1_500 else 0)


@given(said)
def test_no_surrogate_pair_is_split(said: list[tuple[str, str, str, Mode]]) -> None:
    for _, event in events(recorded(pieces(said), max_bytes=600)):
        text = event["arguments" if "arguments" in event else "text"]

        assert utf16.clean(text) == text


@given(st.lists(st.lists(LETTERS, max_size=5).map("".join)))
def test_duplicates_and_retries_change_nothing(words: list[str]) -> None:
    """Delivery is at least once, in order."""
    records = recorded(pieces([(AGENT_MESSAGE, "m", word, "append") for word in words]))
    doubled = [event for event in events(records) for _ in range(2)]

    assert render(doubled) == render(events(records))


def test_later_records_of_a_replacement_append() -> None:
    (draft,) = pieces([(AGENT_MESSAGE, "m", "x" * 300, "replace")])

    first, *rest = [event for _, event in events(recorded([draft], max_bytes=1_000))]

    assert (first["mode"], first["offset"]) == ("replace", 0)
    assert {event["mode"] for event in rest} == {"append"}


def test_a_call_without_arguments_is_still_a_call() -> None:
    (draft,) = pieces([(AGENT_TOOL_CALL, "k", "", "append")])

    ((_, event),) = events(recorded([draft]))

    assert (event["callId"], event["arguments"], event["offset"]) == ("k", "", 0)


def test_automatic_messages_end_when_they_are_told_to() -> None:
    texts = Texts()
    first = texts.automatic_key()
    assert texts.automatic_key() == first

    texts.break_automatic()

    assert texts.automatic_key() != first


def test_nothing_new_is_not_said() -> None:
    texts = Texts()
    texts.piece(AGENT_MESSAGE, "m", "x", "append", at_ms=1)

    assert texts.piece(AGENT_MESSAGE, "m", "", "append", at_ms=1) is None


def test_a_name_that_comes_late_is_not_lost_by_merging() -> None:
    texts = Texts()
    drafts = Drafts()
    for text, name in (('{"a"', ""), (":1}", "get_weather")):
        draft = texts.piece(AGENT_TOOL_CALL, "k", text, "append", at_ms=1, extra={"name": name})
        assert draft is not None
        drafts.add(draft)

    ((_, event),) = events(recorded(drafts))

    assert (event["name"], event["arguments"]) == ("get_weather", '{"a":1}')


@pytest.mark.parametrize(
    "later",
    [
        (AGENT_MESSAGE, "other", "y", "append"),
        (AGENT_REASONING, "m", "y", "append"),
        (AGENT_MESSAGE, "m", "y", "replace"),
    ],
)
def test_what_does_not_continue_the_last_piece_stands_by_itself(later: tuple[str, str, str, Mode]) -> None:
    drafts = Drafts()

    drafts.extend(pieces([(AGENT_MESSAGE, "m", "x", "append"), later]))

    assert len(drafts) == 2


def test_a_piece_after_a_hole_stands_by_itself() -> None:
    first, lost, third = pieces([(AGENT_MESSAGE, "m", "x", "append")] * 3)
    drafts = Drafts()

    drafts.extend([first, third])

    assert len(drafts) == 2
    assert lost.offset == 1


def test_data_does_not_merge_and_separates_text() -> None:
    one, two = pieces([(AGENT_MESSAGE, "m", "x", "append")] * 2)
    data = [data_draft(AGENT_CUSTOM, {"name": name}, at_ms=1) for name in ("a", "b")]
    drafts = Drafts()

    drafts.extend([one, *data, two])

    assert [draft.target for draft in drafts] == [AGENT_MESSAGE, AGENT_CUSTOM, AGENT_CUSTOM, AGENT_MESSAGE]


def test_merged_pieces_take_less_room_and_none_after_leaving() -> None:
    drafts = Drafts()
    drafts.extend(pieces([(AGENT_MESSAGE, "m", "x", "append")] * 1_000))

    assert 1_000 < drafts.size < 100_000
    assert drafts.size == sum(draft.size for draft in drafts)

    drafts.take()
    assert (drafts.size, len(drafts)) == (0, 0)


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=4), st.integers(1_200, 4_000))
def test_no_record_of_data_is_larger_than_allowed(lengths: list[int], max_bytes: int) -> None:
    draft = data_draft(AGENT_CUSTOM, {f"f{i}": "x" * length for i, length in enumerate(lengths)}, at_ms=1)

    (record,) = recorded([draft], max_bytes)

    assert len(record.body) <= max_bytes - 256


def test_only_the_largest_data_is_omitted() -> None:
    draft = data_draft(AGENT_CUSTOM, {"small": "x" * 100, "large": "y" * 5_000}, at_ms=1)

    ((_, event),) = events(recorded([draft], max_bytes=2_000))

    assert (event["small"], event["large"]) == ("x" * 100, {"omitted": 5_002})


def test_data_exactly_at_the_bound_is_kept_and_a_byte_more_is_not() -> None:
    max_bytes = 2_000
    (empty,) = recorded([data_draft(AGENT_CUSTOM, {"data": ""}, at_ms=1)])
    room = max_bytes - 256 - len(empty.body)

    at_bound, over = (
        events(recorded([data_draft(AGENT_CUSTOM, {"data": "x" * n}, at_ms=1)], max_bytes))[0][1]["data"]
        for n in (room, room + 1)
    )

    assert at_bound == "x" * room
    assert over == {"omitted": room + 3}


@pytest.mark.parametrize(("length", "kept"), [(98, True), (99, False)])
def test_data_that_cannot_fit_is_let_go_of_at_once(length: int, kept: bool) -> None:
    draft = data_draft(AGENT_CUSTOM, {"data": "x" * length}, at_ms=1)

    draft.bound(100)

    assert (bytes(draft.fields["data"]) == b'"%b"' % (b"x" * length)) == kept
    assert draft.size == 256 + len(bytes(draft.fields["data"]))


def test_what_json_cannot_say_is_its_authors_mistake() -> None:
    with pytest.raises(TypeError):
        data_draft(AGENT_CUSTOM, {"data": object()}, at_ms=1)


def test_data_never_absorbs() -> None:
    draft = data_draft(AGENT_CUSTOM, {}, at_ms=1)

    assert not DataDraft(AGENT_CUSTOM, {}, 1, 0).absorb(draft)
