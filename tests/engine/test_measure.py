"""What each message counts: together always the prompt itself, apart what a reader of the template would say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.test_template import BOS, EOS, KEY, TEMPLATES
from tests.engine.tiny_gguf import BYTE_0, CONTROL, IM_END

from llmchat_engine.errors import RequestInvalid, TemplateError
from llmchat_engine.events import Measured
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.measure import Lengths, measure
from llmchat_engine.host.model import Model, Vocab
from llmchat_engine.host.prompt import PieceIds, build_prompt
from llmchat_engine.host.template import ChatTemplate, Piece
from llmchat_engine.types import Message, Request, Role

N_CTX = 2048
SOURCES = TEMPLATES | {
    "no template": "",
    "drops empty messages": "{% for m in messages if m.content.strip() %}[{{ m.role }}]{{ m.content }}{% endfor %}[a]",
    "twice": "{% for m in messages %}<s>{{ m.content }}</s>{{ m.content }}{% endfor %}",
    "leaves replies out": "{% for m in messages if m.role != 'assistant' %}{{ m.role }}: {{ m.content }}{% endfor %}",
    "changes texts": "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
    "writes nothing of its own": "{% for m in messages %}{{ m.content }}{% endfor %}",
}
SYSTEM, FIRST, ANSWER = Message("system", "be brief"), Message("user", "hello"), Message("assistant", "so it is")
SECOND = Message("user", "and then?")

TEXTS = st.lists(st.sampled_from([*"ab <|>\né\U000f0000", *CONTROL]), max_size=8).map("".join)
IDS = st.lists(st.integers(BYTE_0 + 33, BYTE_0 + 126), max_size=4).map(tuple)
REPLIES = st.builds(
    lambda text, ids, ended, key: Message("assistant", text, (*ids, IM_END) if ended else ids, key),
    TEXTS, IDS, st.booleans(), st.sampled_from([KEY, "other"]),
)  # fmt: skip
ASKED: st.SearchStrategy[Role] = st.sampled_from(["system", "user"])
PATHS = st.lists(REPLIES | st.builds(Message, ASKED, TEXTS), max_size=6).map(tuple)


@pytest.fixture(scope="module")
def vocab(llama: Llama, tiny_chat: Path) -> Iterator[Vocab]:
    model = Model(llama, str(tiny_chat))
    yield model.vocab
    model.close()


def template(name: str) -> ChatTemplate:
    return ChatTemplate(SOURCES[name], bos=BOS, eos=EOS, model_key=KEY)


def measured(request: Request, vocab: Vocab, name: str = "chatml") -> Measured:
    return measure(request, template(name), vocab, Lengths(vocab), N_CTX)


@pytest.mark.parametrize("add_bos", [False, True], ids=["", "bos"])
@pytest.mark.parametrize("name", SOURCES)
def test_the_parts_add_up_to_the_prompt(vocab: Vocab, name: str, add_bos: bool) -> None:
    own = Vocab(vocab._c, vocab.pointer)
    own.add_bos = add_bos
    lengths, chat_template = Lengths(own, remembered=8), template(name)

    @given(PATHS, st.booleans())
    @settings(max_examples=25, deadline=None)
    def add_up(messages: tuple[Message, ...], raw: bool) -> None:
        request = Request(messages, raw=raw)
        try:
            prompt = len(build_prompt(request, chat_template, PieceIds(own)).ids)
        except RequestInvalid as error:
            prompt = 0
            if "empty" not in error.what:  # a reply alone cannot be gone on with
                with pytest.raises(RequestInvalid):
                    measure(request, chat_template, own, lengths, N_CTX)
                return
        except TemplateError:
            with pytest.raises(TemplateError):
                measure(request, chat_template, own, lengths, N_CTX)
            return
        found = measure(request, chat_template, own, lengths, N_CTX)
        assert found.total == prompt
        assert len(found.messages) == len(messages)
        assert min(found.before, found.after, *found.messages, N_CTX) >= 0

    add_up()


def tokens(vocab: Vocab, text: str, *, special: bool = True) -> int:
    return len(vocab.tokenize(text, special=special))


def test_a_message_counts_its_text_and_what_lies_before_it(vocab: Vocab) -> None:
    found = measured(Request((SYSTEM, FIRST, ANSWER, SECOND)), vocab)
    between = "<|im_end|>\n<|im_start|>"
    assert found == Measured(
        before=0,
        messages=(
            tokens(vocab, "<|im_start|>system\n") + tokens(vocab, "be brief"),
            tokens(vocab, f"{between}user\n") + tokens(vocab, "hello"),
            tokens(vocab, f"{between}assistant\n") + tokens(vocab, "so it is"),
            tokens(vocab, f"{between}user\n") + tokens(vocab, "and then?"),
        ),
        after=tokens(vocab, f"{between}assistant\n"),
        n_ctx=N_CTX,
    )


def test_a_system_prompt_of_the_templates_own_is_nobodys(vocab: Vocab) -> None:
    opening = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    found = measured(Request((FIRST,)), vocab, "smollm2")
    assert found.before == tokens(vocab, f"{opening}<|im_start|>user\n")
    assert found.messages == (tokens(vocab, "hello"),)
    own = measured(Request((SYSTEM, FIRST)), vocab, "smollm2")
    assert own.before == 0
    assert own.messages[0] == tokens(vocab, "<|im_start|>system\n") + tokens(vocab, "be brief")


def test_a_reply_counts_the_ids_it_was_made_of(vocab: Vocab) -> None:
    ids = tuple(BYTE_0 + ord(letter) for letter in "so it is")
    said = Message("assistant", "so it is", (*ids, IM_END), KEY)
    plain, exact = (measured(Request((FIRST, reply, SECOND)), vocab) for reply in (ANSWER, said))
    assert exact.messages[1] - plain.messages[1] == len(ids) - tokens(vocab, "so it is")
    assert (exact.messages[0], exact.messages[2]) == (plain.messages[0], plain.messages[2])


def test_a_system_prompt_that_moved_into_the_question_keeps_its_count(vocab: Vocab) -> None:
    found = measured(Request((SYSTEM, FIRST, ANSWER, SECOND)), vocab, "gemma-2")
    opening = tokens(vocab, f"{BOS}<start_of_turn>user\n")
    whole = tokens(vocab, f"{SYSTEM.text}\n\n{FIRST.text}", special=False)
    assert found.before == 0
    assert found.messages[0] == opening + tokens(vocab, SYSTEM.text)
    assert found.messages[1] == whole - tokens(vocab, SYSTEM.text)


def test_messages_that_were_merged_share_their_text(vocab: Vocab) -> None:
    found = measured(Request((FIRST, SECOND)), vocab, "gemma-3")
    whole = tokens(vocab, f"{FIRST.text}\n\n{SECOND.text}", special=False)
    assert found.messages == (tokens(vocab, FIRST.text), whole - tokens(vocab, FIRST.text))


def test_a_blank_draft_counts_nothing_itself(vocab: Vocab) -> None:
    found = measured(Request((FIRST, ANSWER, Message("user", " "))), vocab)
    assert found.messages[-1] == 0
    assert found.after == tokens(vocab, "<|im_end|>\n<|im_start|>user\n <|im_end|>\n<|im_start|>assistant\n")


def test_a_chat_without_any_text_lies_before_it(vocab: Vocab) -> None:
    found = measured(Request((Message("user", ""),)), vocab)
    assert found == Measured(tokens(vocab, "<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"), (0,), 0, N_CTX)


def test_raw_messages_share_one_text(vocab: Vocab) -> None:
    found = measured(Request((Message("user", "once upon"), Message("user", " a time")), raw=True), vocab)
    assert found.total == tokens(vocab, "once upon a time")
    assert found.messages[0] == tokens(vocab, "once upon")
    assert measured(Request((), raw=True), vocab) == Measured(0, (), 0, N_CTX)


def test_a_length_is_asked_for_once_while_it_is_remembered(vocab: Vocab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    tokenize = vocab.tokenize

    def listening(text: str, *, special: bool) -> list[int]:
        asked.append(text)
        return tokenize(text, special=special)

    monkeypatch.setattr(vocab, "tokenize", listening)
    lengths = Lengths(vocab, remembered=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        lengths.of(Piece(text, special=False))
    assert asked == ["a", "b", "c", "b"]
    lengths.of(Piece("b", special=True))
    assert asked[4:] == ["b"]
