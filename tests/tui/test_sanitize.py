"""No text that went through the sanitizer can act on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmchat_tui.sanitize import sanitize, sanitize_line

_UNSAFE = frozenset(
    chr(code)
    for code in (
        *(code for code in range(32) if code not in (9, 10)),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),
        *range(0xE0000, 0xE0080),
    )
)
texts = st.text(st.one_of(st.characters(codec=None), st.sampled_from([*sorted(_UNSAFE), "\r", "\n", "\t"])))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b]52;c;QQ==\x07", "␛]52;c;QQ==␇"),
        ("\x9b31m", "\ufffd31m"),
        ("a\r\nb", "a\nb"),
        ("safe\rEVIL", "safeEVIL"),
        ("file\u202egpj.exe", "file\ufffdgpj.exe"),
        ("\udcff", "\ufffd"),
        ("a\U000e0041b", "ab"),
        ("\x7f", "␡"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Größe 日本 ‏עברית 👩‍👩‍👧", "Größe 日本 ‏עברית 👩‍👩‍👧"),
    ],
)
def test_what_becomes_of_it(text: str, clean: str) -> None:
    assert sanitize(text) == clean


@given(texts)
def test_nothing_unsafe_is_left(text: str) -> None:
    assert not _UNSAFE & set(sanitize(text))
    assert not (_UNSAFE | set("\n\t\u2028\u2029")) & set(sanitize_line(text))


@given(texts)
def test_a_clean_text_stays_as_it_is(text: str) -> None:
    clean = sanitize(text)
    assert sanitize(clean) == clean
    assert sanitize_line(sanitize_line(text)) == sanitize_line(text)


@given(texts, st.integers(0, 20))
def test_a_text_may_be_cut_anywhere(text: str, cut: int) -> None:
    assert sanitize(text[:cut]) + sanitize(text[cut:]) == sanitize(text)
