"""The table of keys: ids are unique, no two actions of a place want the same key, `[keys]` is checked against it."""

from __future__ import annotations

import itertools
import re

import pytest
from textual.keys import REPLACED_KEYS, Keys, key_to_character

from llmchat_tui.bindings import bindings_of
from llmchat_tui.keymap import ACTIONS, Action, Place, actions_of, check_keys, normal_keys, shown_key

PLACES: tuple[Place, ...] = ("anywhere", "prompt", "message", "drafts", "chats", "models", "documents")


def keys_of(action: Action) -> list[str]:
    return action.keys.split(",")


def test_ids_are_unique_and_can_stand_in_toml() -> None:
    ids = [action.id for action in ACTIONS]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in ids)


@pytest.mark.parametrize("place", PLACES)
def test_no_two_actions_of_a_place_have_the_same_key(place: Place) -> None:
    """What works anywhere must not take a key of the place either, but for Escape, which goes one step back."""
    here = actions_of(place) + (actions_of("anywhere") if place != "anywhere" else ())
    for one, other in itertools.combinations(here, 2):
        assert not set(keys_of(one)) & set(keys_of(other)), (one.id, other.id)


def test_every_action_has_a_place_keys_and_words() -> None:
    for action in ACTIONS:
        assert action.place in PLACES
        assert check_keys(action.keys) == "", action.id
        assert action.label and action.help.endswith(".")
    assert sum(len(actions_of(place)) for place in PLACES) == len(ACTIONS)


@pytest.mark.parametrize("place", PLACES)
def test_bindings_carry_the_id_and_leave_out_what_is_handled_elsewhere(place: Place) -> None:
    made = bindings_of(place)
    assert [getattr(binding, "id", "") for binding in made] == [action.id for action in actions_of(place)]
    assert bindings_of(place, leave_out=frozenset(action.id for action in actions_of(place))) == []


@pytest.mark.parametrize(
    "keys",
    ["ctrl+n", "k,up", "G,end", "f1", "f24", "ctrl+shift+minus", "alt+enter", "ctrl+underscore", "slash", "+", "é",
     "é,x", " ctrl+n , up ", "Ctrl+N", "ctrl+question_mark", "super+k", "-"],
)  # fmt: skip
def test_keys_that_can_be_had(keys: str) -> None:
    assert check_keys(keys) == ""


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", "empty key"),
        ("a,", "empty key"),
        (",", "empty key"),
        ("ctrl+", "empty key"),
        ("ctrl++", "empty key"),
        ("strg+n", "no modifier"),
        ("hyper+n", "no modifier"),
        ("ctrl+foo", "no key"),
        ("f25", "no key"),
        ("return", "no key"),
        ("ctrl+i", "tab"),
        ("ctrl+m", "enter"),
        ("CTRL+H", "backspace"),
        ("ctrl+left_square_bracket", "escape"),
        ("k,ctrl+m", "enter"),
        ("ctrl+?", "needs its name"),
    ],
)
def test_keys_that_cannot_be_had(keys: str, said: str) -> None:
    assert said in check_keys(keys)


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("Ctrl+N", "ctrl+n"),
        (" K , UP ", "K,up"),
        ("G,End", "G,end"),
        ("+", "+"),
        ("CTRL+Shift+Minus", "ctrl+shift+minus"),
    ],
)
def test_keys_are_known_however_they_are_written(written: str, named: str) -> None:
    assert check_keys(written) == "" and normal_keys(written) == named


@pytest.mark.parametrize(
    ("key", "shown"),
    [("ctrl+n", "^N"), ("escape", "Esc"), ("up", "↑"), ("k,up", "k"), ("f1", "F1"), ("alt+enter", "Alt+Enter"),
     ("G", "G"), ("slash", "/"), ("delete", "Del"), ("ctrl+shift+x", "^Shift+X"), ("super+k", "Super+K"), ("r", "r"),
     ("pageup", "PgUp")],
)  # fmt: skip
def test_keys_as_the_footer_writes_them(key: str, shown: str) -> None:
    assert shown_key(key) == shown


def test_the_toolkit_knows_every_default_key() -> None:
    """A name that it does not know would be a binding that never comes."""
    for key in itertools.chain.from_iterable(map(keys_of, ACTIONS)):
        *_, name = key.split("+")
        known = len(name) == 1 or name in REPLACED_KEYS or name in {key.value for key in Keys}
        assert known or key_to_character(name), key
