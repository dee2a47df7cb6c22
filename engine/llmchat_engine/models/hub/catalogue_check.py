"""Asks the hub for every model of the catalogue: `python -m llmchat_engine.models.hub.catalogue_check [--write]`.

For whoever keeps the catalogue, where there is a network; nothing else imports it. With --write, what was found out is
kept in catalogue.toml.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmchat_engine.errors import HubError, HubForbidden, HubMissing
from llmchat_engine.models.hub.catalogue import CATALOGUE, Entry, catalogue
from llmchat_engine.models.hub.client import Hub
from llmchat_engine.models.hub.names import parse_reference
from llmchat_engine.models.hub.quants import CENTRE, named_variant, variants
from llmchat_engine.models.hub.types import HubRepo


@dataclass(frozen=True, slots=True)
class Checked:
    """What the hub says of one entry."""

    entry: Entry
    good: bool | None
    """None where the hub could not be asked."""
    told: str


def check(hub: Hub, entry: Entry) -> Checked:
    """Returns whether an entry is on the hub as the catalogue says: public, with its quantisation, its licence.

    Args:
        hub: To be asked.
        entry: What is written down.
    """
    reference = parse_reference(f"{entry.repo}:{entry.quant or CENTRE}")
    try:
        repo = hub.repo(reference)
        variant = named_variant(variants(repo.files), reference)
    except (HubMissing, HubForbidden) as error:
        return Checked(entry, False, str(error))
    except HubError as error:
        return Checked(entry, None, str(error))
    wrong = [*_differences(entry, repo, variant.size)]
    told = f"{variant.quant}, {variant.size / 1e9:.1f} GB, {repo.licence or 'no licence told'}"
    return Checked(entry, not wrong, "; ".join([told, *wrong]))


def marked(text: str, checked: Sequence[Checked]) -> str:
    """Returns the catalogue's text with what was found out; entries that could not be asked for stay as they are.

    Args:
        text: Of catalogue.toml.
        checked: What the hub says.
    """
    for result in checked:
        if result.good is not None:
            entry = rf'(\nrepo = "{re.escape(result.entry.repo)}"\n(?:.+\n)*?verified = )(?:true|false)'
            text = re.sub(entry, rf"\g<1>{str(result.good).lower()}", text)
    return text


def main(arguments: Sequence[str], environ: Mapping[str, str], path: Path = CATALOGUE) -> int:
    """Checks all entries and prints a line for each.

    Args:
        arguments: "--write" keeps the result.
        environ: Of the user.
        path: The file to keep it in.

    Returns:
        0 where all are as written, else 1.
    """
    hub = Hub(environ)
    checked = [check(hub, entry) for entry in catalogue()]
    for result in checked:
        word = {True: "ok     ", False: "wrong  ", None: "unknown"}[result.good]
        print(f"{word}  {result.entry.repo}: {result.told}")
    if "--write" in arguments:
        path.write_text(marked(path.read_text(encoding="utf-8"), checked), encoding="utf-8")
    return 0 if all(result.good for result in checked) else 1


def _differences(entry: Entry, repo: HubRepo, size: int) -> Iterator[str]:
    if repo.name != entry.repo:
        yield f"it is called {repo.name} now"
    if repo.gated:
        yield "it is gated"
    if repo.licence.casefold() != entry.licence.casefold():
        yield f"the catalogue says {entry.licence}"
    # Small models keep a large share of their weights at six bits or more.
    if not 0.8 * entry.size <= size <= 1.4 * entry.size:
        yield f"the catalogue expects {entry.size / 1e9:.1f} GB"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
