"""`llmchat docs export`: the passages of a collection as JSON lines, as docs/documents.md describes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from llmchat_tui.cli.common import app_of, print_text
from llmchat_tui.cli.docs_common import as_name, file_of, open_library

if TYPE_CHECKING:
    from llmchat_rag.store import Collection, Library


@click.command()
@click.argument("name")
@click.argument("file", default="-")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@click.pass_context
def export(context: click.Context, name: str, file: str, force: bool) -> None:
    """Write every passage of a collection to FILE, one JSON object on a line: text, file, place, heading."""
    from llmchat_tui.export_file import write_export

    with open_library(app_of(context)) as library:
        lines = _lines(library, library.collection(as_name(name)))
        if file != "-":
            write_export(file, "".join(lines), force)
            return
        for line in lines:
            print_text(line)


def _lines(library: Library, collection: Collection) -> Iterator[str]:
    import msgspec

    from llmchat_tui.cli.sources import passage_facts

    for document in library.documents(collection.name):
        found = library.passages(library.chunk_ids(document.id))
        for passage in found.values():
            facts = {**passage_facts(passage), "file": str(file_of(collection, passage.path))}
            yield msgspec.json.encode(facts).decode() + "\n"
