"""The pictures of what the chat shows of documents: the sources under a reply, and the pages about them.

Knows no file of a picture.
"""

from __future__ import annotations

from pathlib import Path

from tests.tui.documented import FILES
from tests.tui.screen.documented_chat import YEAR, answered, choose, documented, store_in
from tests.tui.screen.snapshots_walk import Walk
from textual.widgets import OptionList

from llmchat_tui.screens.sources import SourcesScreen
from llmchat_tui.sources import KeptSource, packed_sources
from llmchat_tui.widgets.preview import DocumentPreview

ROME = f"""# Rome

The city stands on seven hills beside the Tiber.

{FILES["rome.md"]}
The kings followed him, then the republic, then the emperors.
Its streets still lead to the Forum.
"""
DOUBTFUL = f"{YEAR} Romulus ruled for 99 years [1]."


async def the_documents(size: tuple[int, int], home: Path, album: dict[str, str]) -> None:
    """Takes a reply that stands on documents, and the page of its sources."""
    store_in(home, {**FILES, "rome.md": ROME})
    store_in(home, {"draft.md": "Words.\n", "scan.md": "broken"}, "papers")
    async with documented(home, DOUBTFUL, size=size) as run:
        walk = Walk(run)
        await choose(run)
        run.app.clear_notifications()
        await answered(run)
        album["documents-reply"] = await walk.look()
        await run.write("Which hills does Rome stand on, beside the Tiber?")
        await run.until(lambda: bool(run.chat.query_one(DocumentPreview).display), "the preview")
        album["documents-preview"] = await walk.look()
        await run.write("")
        start = ROME.index("Rome was founded")
        text = FILES["rome.md"]
        end = start + len(text)
        passage = KeptSource(1, "notes", "rome.md", "rome.md:5", "Rome", "Rome", text, start, end, 5, 5)
        run.history.annotate(run.replies()[-1].id, packed_sources([passage]))
        await walk.open_command("sources")
        page = run.app.screen
        assert isinstance(page, SourcesScreen)
        await run.until(lambda: bool(page._places), "the document")
        album["documents-sources"] = await walk.look()
        await walk.leave()
        await walk.open("ctrl+l")
        await run.until(lambda: run.app.screen.query_one(OptionList).option_count == 2, "the collections")
        album["documents"] = await walk.look()
        await walk.leave()
