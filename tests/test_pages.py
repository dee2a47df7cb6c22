"""The pages for people say what is there: the file tree of README.md, the places of docs/trace.md, docs/json.md."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from llmchat_engine import Finished, Sampling
from llmchat_engine.testing import FAKE_MODEL
from llmchat_tui.cli.envelope import envelope
from llmchat_tui.cli.talk import Outcome
from llmchat_tui.history import Begun
from llmchat_tui.turn import Turn

ROOT = Path(__file__).parents[1]
PLACE = re.compile(r"`((?:engine|rag|tui)/[\w/]+\.py):([\w.]+)`")
FINISHED = Finished("eog", "Hi", (1, 2), 3, 1, 2, 2, 0.1, 0.1, 0.1, Sampling(temperature=0.0))


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def drawn() -> set[str]:
    """Returns the paths of the modules in the file tree, read from its indentation."""
    (block,) = re.findall(r"^```text\n(engine/llmchat_engine/.*?)^```", page("README.md"), re.DOTALL | re.MULTILINE)
    found: set[str] = set()
    above: list[str] = []
    for line in filter(None, block.splitlines()):
        name, _, comment = line.strip().partition(" ")
        assert comment, f"{name} has no comment in the file tree of README.md"
        del above[(len(line) - len(line.lstrip())) // 2 :]
        above.append(name.rstrip("/"))
        found.add("/".join(above))
    return {path for path in found if path.endswith(".py")}


def test_the_file_tree_is_the_tree_of_files() -> None:
    there = {
        path.relative_to(ROOT).as_posix() for room in ("engine", "rag", "tui") for path in (ROOT / room).rglob("*.py")
    }
    assert {path for path in there if not path.endswith("/__init__.py")} == drawn()


def names_in(tree: ast.AST, prefix: str = "") -> Iterator[str]:
    """Yields the functions and classes of a module, methods as Class.method."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield prefix + node.name
            yield from names_in(node, f"{prefix}{node.name}.")


@cache
def names_of(path: str) -> frozenset[str]:
    return frozenset(names_in(ast.parse(page(path))))


def places() -> list[tuple[str, str]]:
    return sorted(set(PLACE.findall(page("docs/trace.md"))))


@pytest.mark.parametrize(("path", "name"), places())
def test_a_place_of_the_trace_exists(path: str, name: str) -> None:
    assert name in names_of(path)


def test_the_trace_names_places() -> None:
    assert len(places()) > 30
    assert "Nobody.here" not in names_of("tui/llmchat_tui/turn.py")


def fields(value: dict[str, object], prefix: str = "") -> Iterator[str]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from fields(item, f"{prefix}{key}.")
        else:
            yield prefix + key


def test_every_field_of_the_envelope_is_explained() -> None:
    outcome = Outcome(begun=Begun("c", "q", "r"), finished=FINISHED, model=FAKE_MODEL)
    printed = json.loads(envelope(outcome, Turn("Hello?"), []))
    explained = re.findall(r"^\| `([\w.]+)` \|", page("docs/json.md").split("\n# ")[0], re.MULTILINE)
    # What is in `documents` is held against an answer from documents, beside the tests of `ask --docs`.
    assert [name for name in explained if not name.startswith("documents.")] == list(fields(printed))


def test_the_exit_codes_of_the_readme_are_those_of_the_help() -> None:
    from llmchat_tui.cli.ask import EXIT_CODES

    told = {
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", page("README.md"), re.MULTILINE) for code in row.split(",")
    }
    helped = {int(code) for row in re.findall(r"^  ([\d, ]+)  ", EXIT_CODES, re.MULTILINE) for code in row.split(",")}
    assert told == helped


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/trace.md", "docs/install.md"])
def test_links_between_pages_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page(name))
    assert [target for target in targets if not ((ROOT / name).parent / target).exists()] == []
