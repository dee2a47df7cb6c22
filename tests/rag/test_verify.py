"""Marks on the sentences of an answer: each kind of mistake alone, and what an answer can look like."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.rag.answering import cited_set, measure, seeded, sources
from tests.rag.doubles import WordEmbedder

from llmchat_rag.checking.evidence import quoted
from llmchat_rag.context import UNKNOWN
from llmchat_rag.embed import open_query_encoder
from llmchat_rag.verify import SIGNS, Encoder, Verdict, verify

if TYPE_CHECKING:
    from tests.rag.conftest import Lab

    from llmchat_rag.types import Vector

BRIDGE = (
    "The Arno bridge was built by Pietro Gatti between 1571 and 1578. It cost 12,500 florins, "
    "and most workers came from Lucca. It was not damaged in the war.",
    "Maria Conti repaired the mill in 1922 for three thousand lire. "
    "“The wheel turns as it has always turned”, she wrote.",
)


def judged(sentence: str, *texts: str) -> Verdict:
    (verdict,) = verify(sentence, sources(*(texts or BRIDGE))).sentences
    return verdict


@pytest.mark.parametrize(
    "sentence",
    [
        "Pietro Gatti built the Arno bridge between 1571 and 1578 [1].",
        "The bridge cost 12.500 florins [1].",
        "The bridge cost 12 500 florins [1].",
        "Most workers came from Lucca [1].",
        "The war did not damage it [1].",
        "The mill was repaired by Maria Conti in 1922 [2].",
        "The repair of the mill cost 3000 lire [2].",
        'Maria Conti wrote: "The wheel turns as it has always turned" [2].',
        "The bridge was built by Gatti, and the mill was repaired by Conti in 1922 [1, 2].",
    ],
)
def test_what_the_passage_says_is_supported(sentence: str) -> None:
    verdict = judged(sentence)
    assert (verdict.mark, verdict.why) == ("supported", "")


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("The bridge cost 12,600 florins [1].", "12,600 is not in it"),
        ("The bridge was built by Paolo Gatti [1].", "Paolo is not in it"),
        ("The bridge was damaged in the war [1].", "opposite"),
        ("All workers came from Lucca [1].", "“All”"),
        ("Maria Conti repaired the mill in 1922 for three thousand lire [1].", "Maria is not in it"),
        ('She wrote "the wheel stands still and will never turn" [2].', "not a quote"),
        ("The bridge cost 12,500 florins, paid from a tax on salt, wool and olive oil [1].", "“paid from a tax"),
        ("The bridge was built by Pietro Gatti [3].", "there is no document [3]"),
    ],
)
def test_what_it_does_not_say_is_told(sentence: str, why: str) -> None:
    verdict = judged(sentence)
    assert verdict.mark != "supported"
    assert why in verdict.why


def test_another_document_that_says_it_is_offered() -> None:
    assert judged("Maria Conti repaired the mill in 1922 [1].").better == 2
    assert judged("Maria Conti repaired the mill in 1922 [7].").better == 2
    assert judged("Maria Conti repaired the mill in 1822 [1].").better is None
    assert judged("Maria Conti repaired the mill in 1922 [2].").better is None


def test_a_sentence_without_a_citation_is_marked_too() -> None:
    told, untold = verify("Maria Conti repaired the mill in 1922. Gold was found below it.", sources(*BRIDGE)).sentences
    assert (told.mark, told.better, told.why) == ("weak", 2, "no citation; [2] says it")
    assert (untold.mark, untold.ids) == ("unsupported", ())
    assert "no document says it" in untold.why


def test_one_of_two_citations_that_is_not_there_is_weak() -> None:
    verdict = judged("Pietro Gatti built the bridge [1, 9].")
    assert (verdict.mark, verdict.ids) == ("weak", (1, 9))


def test_an_answer_keeps_the_places_of_its_sentences() -> None:
    answer = "Here is what they say:\n\n- The bridge cost 12,500 florins [1].\n- The mill was repaired in 1922. [2]\n"
    verified = verify(answer, sources(*BRIDGE))
    assert [answer[v.start : v.end] for v in verified.sentences] == [
        "The bridge cost 12,500 florins [1].",
        "The mill was repaired in 1922. [2]",
    ]
    assert verified.count("supported") == 2
    assert not verified.unknown


def test_not_knowing_is_no_claim() -> None:
    verified = verify(UNKNOWN, sources(*BRIDGE))
    assert (verified.sentences, verified.unknown) == ((), True)


@pytest.mark.parametrize(
    "answer", ["# The bridge", "Would you like to know more?", "```\nprint(1571)\n```", "Here are the facts:", "", "…"]
)
def test_what_claims_nothing_has_no_mark(answer: str) -> None:
    assert verify(answer, sources(*BRIDGE)).sentences == ()


def test_a_list_of_sources_at_the_end_is_not_judged() -> None:
    answer = "The bridge cost 12,500 florins [1].\n\nSources:\n[1] p1.md:1 the bridge of Vienna\n"
    assert len(verify(answer, sources(*BRIDGE)).sentences) == 1


def test_an_answer_without_documents_has_nothing_to_stand_on() -> None:
    (verdict,) = verify("The bridge cost 12,500 florins [1].", []).sentences
    assert (verdict.mark, verdict.better) == ("unsupported", None)


def test_every_mark_has_a_sign() -> None:
    assert SIGNS == {"supported": "✓", "weak": "~", "unsupported": "✗"}


@pytest.mark.parametrize(
    ("quote", "text", "there"),
    [
        ("the wheel turns as it has", "The wheel turns\nas it has always turned.", True),
        ("ﬁne ‘ﬂour’ – milled daily", "fine 'flour' - milled daily", True),
        ("an agree- ment of two towns", "an agree-\nment of two towns", True),
        ("the wheel turnd as it has always", "the wheel turns as it has always", True),
        ("the wheel breaks as it never has", "the wheel turns as it has always", False),
        ("", "anything", False),
    ],
)
def test_quotes_match_give_or_take_signs(quote: str, text: str, there: bool) -> None:
    assert quoted(quote, text) is there


MEANINGS = [
    ("Anna sold the farm to Peter.", "Peter sold the farm to Anna [1].", False),
    ("Anna sold the farm to Peter.", "The farm was sold to Peter by Anna [1].", True),
    ("The fee is 20 euros for adults and 8 euros for children.", "The fee is 8 euros for adults [1].", False),
    ("The fee is 20 euros for adults and 8 euros for children.", "The fee is 8 euros for children [1].", True),
    ("The pump runs at 3 kW.", "The pump runs at 3000 W [1].", True),
    ("The pump runs at 3 kW.", "The pump runs at 3 MW [1].", False),
    ("The meeting is on 2031-05-02.", "The meeting is on May 2, 2031 [1].", True),
    ("The meeting is on 2031-05-02.", "The meeting is on February 5, 2031 [1].", False),
    ("The shop opens at 9:30.", "The shop opens at 9:45 [1].", False),
    ("The shop opens at 21:30.", "The shop opens at 9:30 pm [1].", False),
    ("Sales reached 1,234,567 units.", "Sales reached about 1.2 million units [1].", True),
    ("Sales reached 1,234,567 units.", "Sales reached 1.2 million units [1].", False),
    ("Exports fell in Italy.", "Exports rose in Italy [1].", False),
    ("Exports fell in Italy.", "Italian exports declined [1].", True),
    ("The drug might help some patients.", "The drug helps all patients [1].", False),
    ("No vessel was lost.", "A vessel was lost [1].", False),
    ("The wall is closed to visitors.", "Visitors cannot see the wall [1].", True),
    ("Das Tor ist nicht offen.", "Das Tor ist offen [1].", False),
    ("La porte a été ouverte en 1920.", "La porte a été ouverte en 1930 [1].", False),
    ("The tower was begun in 1532 and it was finished in 1537.", "The tower was finished in 1532 [1].", False),
    (
        "The pump moves water from the well into the tank.",
        "The pump moves water from the tank into the well [1].",
        False,
    ),
    ("The box stayed unopened.", "The box was opened [1].", False),
    ("It leaves the list unchanged.", "It leaves the list without changing it [1].", True),
    ("`a.sort()` returns None; `sorted()` returns a list.", "`sorted()` returns None [1].", False),
    ("Parts are replaced at no cost by the maker.", "The maker replaces parts [1].", True),
    ("東京タワーは1958年に完成した。", "東京タワーは1958年に完成した [1]。", True),
    ("東京タワーは1958年に完成した。", "東京タワーは1968年に完成した [1]。", False),
]


@pytest.mark.parametrize(("text", "sentence", "supported"), MEANINGS, ids=[s for _, s, _ in MEANINGS])
def test_meaning_is_kept(text: str, sentence: str, supported: bool) -> None:
    verdict = judged(sentence, text)
    assert (verdict.mark == "supported") is supported, verdict.why


def test_an_embedder_helps_where_the_words_differ() -> None:
    text = "The vessel sank beneath the waves. Few of those aboard reached the shore."
    claim = "People drowned aboard that vessel [1]."
    (alone,) = verify(claim, sources(text)).sentences
    (helped,) = verify(claim, sources(text), Agreeing()).sentences
    assert (alone.mark, helped.mark) == ("weak", "supported")
    (number,) = verify("People drowned aboard that vessel in 1912 [1].", sources(text), Agreeing()).sentences
    assert (number.mark, number.why) == ("unsupported", "1912 is not in it")


def test_where_the_words_agree_no_embedder_is_asked() -> None:
    embedder = Agreeing()
    verify("The bridge cost 12,500 florins [1].", sources(*BRIDGE), embedder)
    assert embedder.asked == 0


class Agreeing(WordEmbedder):
    """Finds that all texts say the same."""

    asked = 0

    def encode_query(self, text: str) -> Vector:
        self.asked += 1
        return super().encode_query("the same")


def test_sixty_right_and_sixty_wrong_sentences_with_a_real_embedder(minilm: Lab) -> None:
    judge_the_set(open_query_encoder("", minilm.home))


@pytest.mark.parametrize("embedder", [None, WordEmbedder()], ids=["words alone", "with an embedder"])
def test_sixty_right_and_sixty_wrong_sentences(embedder: WordEmbedder | None) -> None:
    judge_the_set(embedder)


def judge_the_set(embedder: Encoder | None) -> None:
    cited = cited_set("citations.jsonl")
    assert (len(cited), sum(one.right for one in cited)) == (120, 60)
    found = measure(cited, embedder)
    least = min(found.precision, found.recall, found.flag_precision, found.flag_recall)
    print(f"supported: precision {found.precision:.3f}, recall {found.recall:.3f}")
    print(f"the rest: precision {found.flag_precision:.3f}, recall {found.flag_recall:.3f}; missed: {found.missed}")
    assert least >= 0.9


def test_the_set_to_tune_on_is_another_one() -> None:
    tuned = {text for one in cited_set("citations-dev.jsonl") for text in one.passages}
    assert not tuned & {text for one in cited_set("citations.jsonl") for text in one.passages}


@pytest.mark.parametrize("piece", ["[1,", "\n- ", ". ", "1 000 ", "“a b c d ", "no ", "[1] ", "(", "aaaa "])
def test_a_model_that_repeats_itself_is_judged_in_no_time(piece: str) -> None:
    started = time.process_time()
    verify(piece * (20_000 // len(piece)), sources("Rome was built in 753 by Romulus. " * 30))
    assert time.process_time() - started < 2.0


def test_whatever_a_model_writes_is_judged() -> None:
    chance = seeded()
    pieces = [
        *BRIDGE[0].split(),
        "[1]",
        "[2]",
        "[9]",
        "not",
        '"',
        "”",
        "\n",
        "```",
        "12:30",
        "°C",
        "1.2.3",
        "…",
        "(",
        "- ",
    ]
    for _ in range(200):
        answer = " ".join(chance.choices(pieces, k=chance.randint(0, 40)))
        for verdict in verify(answer, sources(*BRIDGE)).sentences:
            assert answer[verdict.start : verdict.end] == verdict.text
            assert (verdict.why == "") is (verdict.mark == "supported")
