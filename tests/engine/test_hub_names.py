"""What users call a model of the hub: every form that is meant, and none that leads elsewhere."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.rig import SEED

from llmchat_engine.errors import RequestInvalid
from llmchat_engine.models.hub.names import is_repo, is_safe_path, looks_like_reference, parse_reference
from llmchat_engine.models.hub.types import Reference

HUB = "https://huggingface.co"
MEANT = {
    "user/repo": Reference("user/repo"),
    "  user/repo\n": Reference("user/repo"),
    "user/repo:Q4_K_M": Reference("user/repo", "Q4_K_M"),
    "user/repo:q4_k_m": Reference("user/repo", "Q4_K_M"),
    "user/repo:ud-q4_k_xl": Reference("user/repo", "UD-Q4_K_XL"),
    "user/repo:int4": Reference("user/repo", "Q4_K_M"),
    "user/repo:INT8": Reference("user/repo", "Q8_0"),
    "user/repo:fp16": Reference("user/repo", "F16"),
    "user/repo:latest": Reference("user/repo"),
    "user/repo@v1.0": Reference("user/repo", revision="v1.0"),
    "user/repo@refs/pr/3:Q8_0": Reference("user/repo", "Q8_0", revision="refs/pr/3"),
    "user/repo/m-Q4_0.gguf": Reference("user/repo", file="m-Q4_0.gguf"),
    "user/repo/a/b/m.gguf@abc123": Reference("user/repo", file="a/b/m.gguf", revision="abc123"),
    "hf.co/user/repo": Reference("user/repo"),
    "hf.co/user/repo:Q8_0": Reference("user/repo", "Q8_0"),
    "huggingface.co/user/repo/m.gguf": Reference("user/repo", file="m.gguf"),
    "hf://user/repo": Reference("user/repo"),
    f"{HUB}/user/repo": Reference("user/repo"),
    f"{HUB}/user/repo/": Reference("user/repo"),
    f"{HUB}/user/repo?library=gguf": Reference("user/repo"),
    f"{HUB}/user/repo?show_file_info=m.gguf": Reference("user/repo", file="m.gguf"),
    f"{HUB}/user/repo/tree/main": Reference("user/repo"),
    f"{HUB}/user/repo/tree/v2/Q8_0": Reference("user/repo", "Q8_0", revision="v2"),
    f"{HUB}/user/repo/blob/main/m.gguf": Reference("user/repo", file="m.gguf"),
    f"{HUB}/user/repo/resolve/main/a/m.gguf?download=true": Reference("user/repo", file="a/m.gguf"),
    f"{HUB}/user/repo/resolve/refs%2Fpr%2F1/m%20x.gguf": Reference("user/repo", file="m x.gguf", revision="refs/pr/1"),
    "http://www.huggingface.co/user/repo": Reference("user/repo"),
}
REFUSED = {
    "": "user/repo:Q4_K_M",
    "Qwen3-4B": "llmchat models search Qwen3 4B",
    "llama3.2:3b": "llmchat models search llama3.2 3b",
    "qwen 3 4b": "llmchat models search qwen 3 4b",
    "openai:gpt-5": "search",
    "openai:meta-llama/llama": "search",
    "user\\repo": "llmchat pull user/repo",
    "./user/repo": "llmchat pull user/repo",
    "/user/repo": "llmchat pull user/repo",
    "~/user/repo": "llmchat pull user/repo",
    "../user/repo": "llmchat pull user/repo",
    "user/../repo": "llmchat pull user/repo",
    "user/repo/../../m.gguf": "llmchat pull user/repo",
    "user/repo/README.md": "llmchat pull user/repo",
    "user/repo//m.gguf": "llmchat pull user/repo",
    "user/repo.git": "llmchat pull user/repo",
    f"{HUB}/user/repo.git": "llmchat pull user/repo",
    "user/repo:": "llmchat pull user/repo",
    "user/repo:Q4 K": "llmchat pull user/repo",
    "user/repo@": "llmchat pull user/repo",
    "user/repo@../x": "llmchat pull user/repo",
    "user/repo@-x": "llmchat pull user/repo",
    "user/m.gguf": "user/repo",
    "user/repo/m.gguf:Q4_0": "llmchat pull user/repo",
    "-user/repo": "user/repo",
    "user/re--po": "user/repo",
    f"user/{'x' * 97}": "user/repo",
    f"{HUB}": "user/repo",
    f"{HUB}/datasets/user/repo": "llmchat pull user/repo",
    "models/llama": "models search llama",
    "https://example.org/user/repo": "llmchat pull user/repo",
    "https://huggingface.co.example.org/user/repo": "llmchat pull user/repo",
    "https://huggingface.co@example.org/user/repo": "llmchat pull user/repo",
    "https://[user/repo": "user/repo",
    "file:///user/repo": "llmchat pull user/repo",
    "x" * 600: "user/repo",
    "user/re\x1b[31mpo": "user/repo",
    "user/re\u202epo": "user/repo",
}


@pytest.mark.parametrize("text", MEANT)
def test_every_form_is_understood(text: str) -> None:
    assert parse_reference(text) == MEANT[text]
    assert looks_like_reference(text)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_name_is_refused_with_what_was_meant(text: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        parse_reference(text)
    assert REFUSED[text] in refused.value.hint
    assert refused.value.what.isprintable()
    assert not looks_like_reference(text)


def test_a_token_in_an_address_is_not_repeated() -> None:
    with pytest.raises(RequestInvalid) as refused:
        parse_reference("https://me:hf_abcdefghijklmnop@huggingface.co/user/repo")
    assert "abcdefghijklmnop" not in f"{refused.value} {refused.value.hint}"


PIECES = ["..", ".", "/", "\\", "C:", "a", "b.gguf", "~", " ", "\x00", "\n", "\u202e", "é", "%2e%2e", "...", "x" * 300]


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=8).map("".join)))
def test_no_name_of_a_file_leads_out_of_its_folder(name: str) -> None:
    root = Path("/models/user/repo")
    if is_safe_path(name):
        # As text: nothing of it may be on the disk of this machine.
        parts = (root / name).parts
        assert parts[:4] == root.parts and len(parts) > 4 and not {"..", "."} & {*parts}
        assert "\\" not in name and ":" not in name and name[0] != "/"


@pytest.mark.parametrize("name", ["a.gguf", "Q8_0/m-00001-of-00002.gguf", "1_Pooling/config.json", "modèle 4B.gguf"])
def test_ordinary_names_of_files_are_safe(name: str) -> None:
    assert is_safe_path(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a\\..\\b", "C:x", "c:/x", "a\x00b", "a\x1b[2J",
     "x\ud800", " a", "a ", "x" * 201, "é" * 101, "CON:", "a|b"],
)  # fmt: skip
def test_hostile_names_of_files_are_not(name: str) -> None:
    assert not is_safe_path(name)


def test_no_text_is_taken_for_a_name_with_another_meaning() -> None:
    """Whatever is understood is strict: a repository as the hub allows it, a file inside, a plain revision."""
    rng = random.Random(SEED)
    alphabet = "ab/:@.\\-_ Q4?%#~é"
    understood = 0
    for _ in range(5000):
        text = "".join(rng.choices(alphabet, k=rng.randint(1, 14)))
        try:
            found = parse_reference(text)
        except RequestInvalid:
            continue
        understood += 1
        assert is_repo(found.repo) and found.repo in text, text
        assert not found.file or is_safe_path(found.file), text
        assert ".." not in found.revision, text
    assert understood
