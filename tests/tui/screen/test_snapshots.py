"""Every screen looks as it did at 40x10, 80x24 and 200x60: its picture is compared, character for character.

A change that is meant: `make snapshots` writes the pictures anew, and the diff shows what they say.
"""

from __future__ import annotations

import asyncio
import os
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.tui.screen.snapshots import prepare, take_all

FOLDER = Path(__file__).parent / "snapshots"
ROOT = Path(__file__).parents[3]
PAINTERS = ("textual", "rich", "markdown-it-py", "pygments")
"""What lays out and colours; another version may do it otherwise."""
UPDATE = bool(os.environ.get("LLMCHAT_UPDATE_SNAPSHOTS"))
"""Read here: a test runs without variables of ours."""


def other_versions() -> list[str]:
    """Returns which painters are not those that the pictures were made with."""
    tested = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = {name.lower(): number for name, number in tested}
    return [f"{name} {version(name)}, not {wanted[name]}" for name in PAINTERS if version(name) != wanted[name]]


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_screen_looks_as_it_did(
    size: tuple[int, int], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if others := other_versions():
        pytest.skip(f"the pictures were made with other versions: {'; '.join(others)}")
    prepare(home, monkeypatch)
    album = asyncio.run(take_all(size, home, monkeypatch))
    suffix = f"-{size[0]}x{size[1]}.svg"
    taken = {f"{name}{suffix}": svg for name, svg in album.items()}
    if UPDATE:
        write(taken, suffix)
    known = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob(f"*{suffix}")}
    changed = [name for name in sorted(taken) if known.get(name) != taken[name]]
    for name in changed:
        (tmp_path / name).write_text(taken[name], encoding="utf-8")
    told = "\n".join(f"{FOLDER / name} was\n{tmp_path / name} is" for name in changed)
    assert not changed, f"screens look different; if that is meant: make snapshots\n{told}"
    assert set(known) == set(taken), "pictures of screens that are no more: make snapshots"


def write(taken: dict[str, str], suffix: str) -> None:
    """Writes the pictures of one size in place of those there are."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob(f"*{suffix}"):
        path.unlink()
    for name, svg in taken.items():
        (FOLDER / name).write_text(svg, encoding="utf-8")


def test_the_pictures_are_small_and_load_nothing() -> None:
    pictures = list(FOLDER.glob("*.svg"))
    assert sum(path.stat().st_size for path in pictures) < 1_500_000
    for path in pictures:
        shown = re.sub(r"(<text[^>]*>)[^<]*", r"\1", path.read_text(encoding="utf-8"))  # addresses as text load nothing
        assert re.findall(r"https?://[^\s\"']+|url\(|<script|<image", shown) == ["http://www.w3.org/2000/svg"], path
