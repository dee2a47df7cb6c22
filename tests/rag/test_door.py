"""The door of the document room: what it names is there, is what its file has, and is no file's own name."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import llmchat_rag

TREE = ast.parse(Path(llmchat_rag.__file__).read_text(encoding="utf-8"))
TYPED = {
    (str(node.module).removeprefix("llmchat_rag."), alias.name)
    for node in ast.walk(TREE)
    if isinstance(node, ast.ImportFrom) and str(node.module).startswith("llmchat_rag.")
    for alias in node.names
}


@pytest.mark.parametrize("name", llmchat_rag.__all__)
def test_a_name_is_the_one_of_its_file(name: str) -> None:
    (file,) = (file for file, typed in TYPED if typed == name)
    assert getattr(llmchat_rag, name) is getattr(import_module(f"llmchat_rag.{file}"), name)


def test_a_type_checker_sees_the_same_names() -> None:
    assert {name for _, name in TYPED} == set(llmchat_rag.__all__)


def test_no_name_is_that_of_a_file() -> None:
    """An import of the file would put the module in the place of what it holds."""
    files = {path.stem for path in Path(llmchat_rag.__file__).parent.iterdir()}
    assert files & set(llmchat_rag.__all__) == set()


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        getattr(llmchat_rag, "nothing_of_the_kind")  # noqa: B009
