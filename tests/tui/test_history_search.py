"""Search takes any text as words, never as syntax, and sees only what has ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmchat_tui.history import History, ReplyEnd
from llmchat_tui.history.search import MAX_TERMS, quoted

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


@pytest.fixture(scope="module")
def history() -> Iterator[History]:
    with History.in_memory() as memory:
        yield memory


def add(history: History, question: str, reply: str) -> str:
    begun = history.begin(question)
    history.finish(begun.reply_id, ReplyEnd(reply, "complete"))
    return begun.reply_id


def test_a_hit_names_its_chat_and_place(history: History) -> None:
    reply = add(history, "Towers", "long " * 40 + "the Eiffel tower stands " + "tail " * 40)

    (hit,) = history.search("tower EIFFEL")

    assert (hit.message_id, hit.role, hit.conversation.title) == (reply, "assistant", "Towers")
    assert "Eiffel tower" in hit.snippet
    assert len(hit.snippet) < 150


def test_every_word_must_be_there_and_accents_do_not_count(history: History) -> None:
    reply = add(history, "french", "Le théâtre est fermé")
    assert [hit.message_id for hit in history.search("theatre ferme")] == [reply]
    assert history.search("theatre ouvert") == []


def test_the_limit(history: History) -> None:
    for _ in range(4):
        add(history, "many", "platypus")
    assert len(history.search("platypus", limit=3)) == 3


def test_words_that_stream_are_found_when_they_end(history: History) -> None:
    begun = history.begin("zebras?")
    history.checkpoint(begun.reply_id, "okapi")
    history.checkpoint(begun.reply_id, "okapi quagga")
    assert history.search("okapi") == []

    history.finish(begun.reply_id, ReplyEnd("quagga alone", "stopped"))

    assert [hit.message_id for hit in history.search("quagga")] == [begun.reply_id]
    assert history.search("okapi") == []


def test_nothing_to_look_for(history: History) -> None:
    assert history.search("") == history.search(" \n\t ") == history.search("\x00") == []


def test_operators_are_only_words(history: History) -> None:
    reply = add(history, "syntax", 'AND OR NOT NEAR(a b) text:x "quote" a* ^b -c')
    for query in ('"', '""', "AND", "NOT OR", "NEAR(a", "text:x", 'quote"', "a*", "^b", "-c", "a + b"):
        history.search(query)
    assert [hit.message_id for hit in history.search('OR NOT "quote')] == [reply]


def test_a_pasted_page_is_cut_to_its_first_words(history: History) -> None:
    assert len(quoted("word " * 100_000).split()) == MAX_TERMS
    reply = add(history, "page", "pasted " * 100)
    assert [hit.message_id for hit in history.search("pasted " * 100_000)] == [reply]


def test_the_last_word_may_be_a_beginning(history: History) -> None:
    reply = add(history, "birds", "The kookaburra laughs loudly")
    for query in ("k", "ko", "KOO", "kookaburra", "laughs kook", "THE kookab"):
        assert reply in [hit.message_id for hit in history.search(query, prefix=True)], query
    assert history.search("kook laughs", prefix=True) == []
    assert history.search("kook") == []
    (hit,) = history.search("kooka", prefix=True)
    assert "kookaburra laughs" in hit.snippet


def test_beginnings_are_found_newest_first(history: History) -> None:
    replies = [
        add(history, "q", text) for text in ("wombat wombat wombat", "a wombat and much more besides", "wombats")
    ]
    found = [hit.message_id for hit in history.search("womb", prefix=True)]
    assert found == replies[::-1]
    assert [hit.message_id for hit in history.search("womb", limit=2, prefix=True)] == replies[:0:-1]


def test_nothing_begins_with_nothing(history: History) -> None:
    for query in ("", " ", "\x00", "*", '"', "-", '" *'):
        assert history.search(query, prefix=True) == []


@given(ANY_TEXT)
@settings(max_examples=150, deadline=None)
@example('"')
@example("\x00")
@example("\udcff")
@example('a"b\x00c')
def test_no_text_is_an_error(history: History, query: str) -> None:
    history.search(query)
    history.search(query, prefix=True)
    history.titled(query)


@given(ANY_TEXT, st.text("abcdefgh", min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
@example("\x00", "a")
@example("\udcff\x00\n", "ab")
def test_any_text_can_be_stored_and_found(history: History, noise: str, word: str) -> None:
    word = f"unique{word}"
    begun = history.begin(noise + " " + word, title=noise, system=noise)
    history.checkpoint(begun.reply_id, noise)
    history.finish(begun.reply_id, ReplyEnd(noise, "failed", error=noise, settings={"x": noise}))

    hits = history.search(word, limit=1_000)

    assert begun.question_id in [hit.message_id for hit in hits]
    assert history.path(begun.reply_id)[0].text == (noise + " " + word).encode("utf-8", "replace").decode()
    history.delete(begun.conversation_id)
    assert begun.question_id not in [hit.message_id for hit in history.search(word, limit=1_000)]


def test_titles(history: History) -> None:
    first = history.begin("q", title="Trip to Rome").conversation_id
    second = history.begin("q", title="A tripod, 100 % \\o/ snake_case").conversation_id

    def found(query: str, limit: int = 50) -> list[str]:
        return [chat.id for chat in history.titled(query, limit)]

    assert found("TRIP") == [second, first]
    assert found("trip", limit=1) == [second]
    assert found("rome trip") == [first]
    assert found("trip %") == found("e_c") == found("\\o/") == [second]
    assert found("trip paris") == found("t%p") == found("t_ip") == found("") == found(" \x00") == []


def test_the_index_is_sound_after_all_that(history: History) -> None:
    assert history.check() == []
