"""Environment variables as typed values."""

from dataclasses import dataclass, field
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsink.core.errors import SettingsError
from streamsink.core.variables import (
    Range,
    absolute_url,
    choice,
    number,
    read,
    refuse_unknown,
    several,
    variable_names,
    variables,
    whole,
)


@dataclass(frozen=True)
class Inner:
    pause_s: Annotated[float, number("STREAM_PAUSE_S", Range(0, 10))] = 2.5


@dataclass(frozen=True)
class Outer:
    count: Annotated[int, whole("STREAM_COUNT", Range(1, 20))] = 5
    colour: Annotated[str, choice("STREAM_COLOUR", "red", "green")] = "red"
    names: Annotated[tuple[str, ...], several("STREAM_NAMES", "names", str.upper)] = ()
    untouched: int = 7
    noted: Annotated[int, "a note of somebody else's"] = 8
    inner: Inner = field(default_factory=Inner)


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read(Outer, {}) == Outer()


def test_each_variable_sets_its_field() -> None:
    environ = {
        "STREAM_COUNT": " 20 ",
        "STREAM_COLOUR": "green",
        "STREAM_NAMES": "a, b,,c",
        "STREAM_PAUSE_S": "0.25",
    }

    assert read(Outer, environ) == Outer(count=20, colour="green", names=("A", "B", "C"), inner=Inner(pause_s=0.25))


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read(Outer, {"STREAM_COUNT": "", "STREAM_COLOUR": "  "}) == Outer()


@dataclass(frozen=True)
class Demanding:
    name: Annotated[str | None, choice("STREAM_NAME", "ann", "bob")] = None
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.name is None:
            raise SettingsError("STREAM_NAME", "set")


def test_a_type_may_refuse_what_is_read_and_its_variables_are_known_all_the_same() -> None:
    with pytest.raises(SettingsError, match="STREAM_NAME should be set"):
        read(Demanding, {})
    assert read(Demanding, {"STREAM_NAME": "ann"}).name == "ann"
    assert [(each.name, default) for each, default in variables(Demanding)] == [
        ("STREAM_NAME", None),
        ("STREAM_PAUSE_S", 2.5),
    ]


def test_the_lowest_value_may_be_nought() -> None:
    assert read(Inner, {"STREAM_PAUSE_S": "0"}).pause_s == 0


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("STREAM_COUNT", "0", "STREAM_COUNT should be a whole number, 1 to 20"),
        ("STREAM_COUNT", "21", "STREAM_COUNT should be a whole number, 1 to 20"),
        ("STREAM_COUNT", "1.5", "STREAM_COUNT should be a whole number, 1 to 20"),
        ("STREAM_COUNT", "-1", "STREAM_COUNT should be a whole number, 1 to 20"),
        ("STREAM_COUNT", "٣", "STREAM_COUNT should be a whole number, 1 to 20"),
        ("STREAM_COUNT", "9" * 5_000, "STREAM_COUNT should be a whole number, 1 to 20"),
        ("STREAM_PAUSE_S", "nan", "STREAM_PAUSE_S should be a number, 0 to 10"),
        ("STREAM_PAUSE_S", "1e1", "STREAM_PAUSE_S should be a number, 0 to 10"),
        ("STREAM_PAUSE_S", "10.1", "STREAM_PAUSE_S should be a number, 0 to 10"),
        ("STREAM_COLOUR", "blue", "STREAM_COLOUR should be `red` or `green`"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(variable: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(Outer, {variable: value})

    assert str(caught.value) == sentence


def test_variables_come_in_the_order_of_the_fields_with_their_defaults() -> None:
    listed = [(variable.name, default) for variable, default in variables(Outer)]

    assert listed == [
        ("STREAM_COUNT", 5),
        ("STREAM_COLOUR", "red"),
        ("STREAM_NAMES", ()),
        ("STREAM_PAUSE_S", 2.5),
    ]
    assert variable_names(Outer) == {name for name, _ in listed}


def test_an_unknown_variable_is_refused_with_the_nearest_known() -> None:
    with pytest.raises(SettingsError, match="STREAM_COUTN should be STREAM_COUNT, perhaps"):
        refuse_unknown({"STREAM_COUTN": "1"}, variable_names(Outer))


def test_an_unknown_variable_unlike_all_others_is_to_be_removed() -> None:
    with pytest.raises(SettingsError, match="STREAM_XYZZY should be removed"):
        refuse_unknown({"STREAM_XYZZY": "1"}, {"STREAM_BACKEND"})


def test_known_variables_and_those_of_others_are_let_through() -> None:
    refuse_unknown({"STREAM_COUNT": "1", "PATH": "x", "MY_STREAM_X": "y"}, variable_names(Outer))


@pytest.mark.parametrize("url", ["http://a", "https://a.b:1/c?d=e", "HTTPS://[::1]/"])
def test_absolute_urls_are_themselves(url: str) -> None:
    assert absolute_url(url) == url


@pytest.mark.parametrize(
    "url", ["", "a.b", "/x", "ftp://a", "https://u:p@a/", "https://a/#f", "https://a/ b", "https://a/é"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        absolute_url(url)


@given(st.dictionaries(st.sampled_from(sorted(variable_names(Outer))), st.text()))
def test_no_environment_does_anything_but_give_settings_or_a_settings_error(environ: dict[str, str]) -> None:
    try:
        settings = read(Outer, environ)
    except SettingsError:
        return

    assert 1 <= settings.count <= 20
