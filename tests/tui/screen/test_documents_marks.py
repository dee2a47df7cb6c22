"""The marks at the sentences of a checked reply: where they stand, and that they change and say nothing else."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from tests.tui.screen.chatting import Chatting, play, posted
from tests.tui.screen.documented_chat import YEAR, answered, choose, documented, store_in
from tests.tui.screen.screen_stage import Hand, Stage
from tests.tui.screen.screen_stage import painted as painted_by
from textual.screen import Screen

from llmchat_rag.checking.sentences import sentences
from llmchat_tui.cited import marks_of
from llmchat_tui.messages import Copied
from llmchat_tui.sources import KeptVerdict
from llmchat_tui.widgets.answer import Answer, CleanParser
from llmchat_tui.widgets.signs import Marks

WRONG = f"{YEAR} Romulus ruled for 99 years [1]."
MARKDOWN = """\
# The founding of Rome

Rome was founded in 753 BC [1]. It was *Romulus, who ruled for **37 years [1]!***

It has seven hills

- The Tiber flows through it [2].
- See https://example.org/rome.
1. The kings came first; then `the republic.`

| who | when |
|---|---|
| Romulus | 753 BC [1]. |
| Numa | later [2] |

> Rome was not built in a day.[1] Nor were its [roads](https://example.org/roads).

Hills of Rome
=============

```python
print("Rome was founded. By Romulus.")
```

    Indented code is code. It has no marks.
"""


def marks_at_all(text: str, mark: str = "supported") -> Marks:
    """Returns a mark for every sentence of a text."""
    return marks_of(text, [KeptVerdict(one.start, one.end, (1,), mark) for one in sentences(text)])


def drawn(text: str, marks: Marks = ()) -> str:
    """Returns an answer as it stands on the screen."""

    async def run() -> str:
        app, page = Stage(Screen()), Screen[None]()
        async with app.run_test(size=(90, 60)) as pilot:
            await app.push_screen(page)
            await page.mount(Answer(text, marks=marks))
            await Hand(pilot).settle()
            return painted_by(app)

    return asyncio.run(run())


def test_a_mark_stands_behind_each_sentence_and_changes_nothing_else() -> None:
    marked = drawn(MARKDOWN, marks_at_all(MARKDOWN))
    assert "753 BC [1].✓ It was Romulus, who ruled for 37 years [1]!✓" in marked and "seven hills✓" in marked
    assert "Tiber flows through it [2].✓" in marked and "See https://example.org/rome.✓" in marked
    assert "753 BC [1].✓" in marked and "later [2]✓" in marked
    assert "built in a day.[1]✓" in marked and "its roads.✓" in marked
    assert 'print("Rome was founded. By Romulus.")' in marked and "code. It has no marks." in marked
    assert re.sub(r"[\s│━─✓]+", "", marked) == re.sub(r"[\s│━─✓]+", "", drawn(MARKDOWN))


@pytest.mark.parametrize("forged", ["\x01", "&#1;", "<https://a.example/%01>", "[a](https://a.example/%01)", "`\x01`"])
def test_a_reply_cannot_forge_a_mark(forged: str) -> None:
    text = f"Rome was founded in 900 BC {forged} in truth."
    for marks in ((), ((4, "✗"),)):
        parsed = CleanParser(marks).parse(text)
        texts = [child.content for token in parsed for child in token.children or ()]
        assert sum("\x01" in text for text in texts) == 0
        assert sum("\x03" in text for text in texts) == len(marks)


def test_places_that_cannot_be_are_no_marks() -> None:
    verdicts = [
        KeptVerdict(-5, 4, (), "weak"),
        KeptVerdict(90, 99, (), "weak"),
        KeptVerdict(3, 2, (), "weak"),
        KeptVerdict(0, 99, (), "supported"),
        KeptVerdict(0, 2, (), "nonsense"),
    ]
    assert marks_of("Rome. **", verdicts) == ((4, "~"), (5, "✓"))


def test_the_marks_stand_at_the_sentences_also_after_a_restart(home: Path) -> None:
    store_in(home)

    async def scene() -> None:
        async with documented(home, WRONG) as run:
            await choose(run)
            await answered(run)
            await run.until(lambda: "753 BC [1].✓ Romulus ruled for 99 years [1].✗" in run.text(), "the marks")
            assert style_at(run, "✓") != style_at(run, "✗") != style_at(run, "Romulus ruled")
            run.transcript.focus_last()
            await run.press("y")
            await run.until(lambda: bool(posted(run, Copied)), "the copy")
            assert {message.text for message in run.messages if isinstance(message, Copied)} == {WRONG}
            chat = run.chat.talk.conversation_id
        async with documented(home, start=chat) as run:
            await run.until(lambda: "753 BC [1].✓ Romulus ruled for 99 years [1].✗" in run.text(), "them, from disk")

    play(scene)


def style_at(run: Chatting, words: str) -> str:
    """Returns how the first place of some words on the screen is painted."""
    for strip in run.app.screen._compositor.render_strips(run.app.screen.size):
        for segment in strip:
            if segment.text.strip().startswith(words):
                return str(segment.style)
    raise AssertionError(f"{words} is not painted by itself")
