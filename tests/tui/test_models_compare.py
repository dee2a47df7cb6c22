"""`llmchat models compare` and `perplexity`: what is asked for, what is printed, what reaches a terminal of answers."""

from __future__ import annotations

import json
import sys
from math import inf
from pathlib import Path

import pytest
from msgspec import structs
from tests.engine.measuring import TEXT
from tests.engine.tiny_gguf import tiny_llama
from tests.tui.asking import Asked, ask
from tests.tui.terminal import unexpected
from tests.tui.test_models_json import explained

from llmchat_engine.models.quantizing.compare import Side, perplexity_of
from llmchat_engine.models.quantizing.tasks import Answered, Divergence, Measured, TextFacts
from llmchat_engine.types import ModelSpec
from llmchat_tui.cli.compare_chart import answers, charts, letter, perplexity_text, table
from llmchat_tui.cli.measuring import prompts_in
from llmchat_tui.errors import UsageError

FACTS = TextFacts(
    ids_key="i", tokens=2181, window=512, windows=4, scored=1020, nll=3.0, nll_error=0.1, seconds=2.0, computed=2044,
    prefill=970.4,
)  # fmt: skip
APART = Divergence(
    kl=0.0123456, kl_error=0.0004, kl_median=0.009, kl_p99=0.2, kl_max=1.5, same_top=0.951, same_top_error=0.0068,
    p_change=-0.01056, p_change_error=0.00136, p_change_rms=0.05, nll_change=0.05, nll_change_error=0.01,
)  # fmt: skip


def side(name: str = "full-F16", size: int = 271_000_000, apart: Divergence | None = None, why: str = "") -> Side:
    measured = Measured(
        vocab_key="v", n_vocab=512, n_ctx=2048, n_params=134_515_008, quantization="F16", peak_memory=388_000_000,
        load_seconds=0.1, decode=109.2, text=FACTS, divergence=apart, why_no_divergence=why,
    )  # fmt: skip
    said = (Answered("The capital is Paris.", 6, True), Answered("One two three", 3, False))
    return Side(ModelSpec(Path(f"{name}.gguf")), size, measured, said)


def models(home: Path, *arguments: str, stdin: bytes | None = None) -> Asked:
    return ask(home, *arguments, command="models", stdin=stdin)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 0.4 MB."""
    return tiny_llama(tmp_path_factory.mktemp("compared") / "tiny.gguf")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A text of some hundred tokens."""
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def test_the_table_has_a_column_per_model() -> None:
    assert list(table([side(), side("small-Q8_0", 145_000_000, APART)])) == [
        "                                 A                   B",
        "size                        271 MB              145 MB",
        "bits a weight                16.12                8.62",
        "memory at most              388 MB              388 MB",
        "reading, tokens/s              970                 970",
        "writing, tokens/s              109                 109",
        "perplexity          20.086 ± 2.009      20.086 ± 2.009",
        "compared with A",
        "  perplexity                             +5.13% ± 1.00",
        "  KL divergence                      0.01235 ± 0.00040",
        "    median                                     0.00900",
        "    99 %                                       0.20000",
        "    most                                       1.50000",
        "  same top token                         95.10% ± 0.68",
        "  p of what comes                      -1.056% ± 0.136",
    ]


def test_models_that_cannot_be_compared_say_why() -> None:
    *_, last = table([side(), side("other", why="their vocabularies differ")])
    assert last == "B cannot be compared token by token with A: their vocabularies differ."


def test_the_longest_bar_is_full_and_colours_are_asked_for() -> None:
    first, second, third, *_ = charts([side(), side(size=135_500_000)], color=False)
    assert first == "size"
    assert second == "  A " + "█" * 30 + " 271 MB"
    assert third == "  B " + "█" * 15 + "░" * 15 + " 136 MB"
    painted = "\n".join(charts([side()], color=True))
    assert "\x1b[36m█" in painted
    assert "\x1b" not in "\n".join(charts([side()], color=False))


def test_answers_stand_side_by_side_where_there_is_room() -> None:
    wide = list(answers([side(), side()], ("Where?", "What?"), 80))
    assert wide[:4] == [
        "",
        "> Where?",
        "A" + " " * 37 + " │ B",
        "The capital is Paris." + " " * 17 + " │ The capital is Paris.",
    ]
    assert "One two three …" in wide[-1]
    narrow = list(answers([side(), side()], ("Where?",), 50))
    assert narrow == ["", "> Where?", "A: The capital is Paris.", "B: The capital is Paris."]


def test_what_a_model_says_and_is_called_acts_on_no_terminal() -> None:
    said = (Answered("\x1b]0;evil\x07\u202e|[2J\n\nmore\x9b31m", 3, True),)
    evil = Side(ModelSpec(Path("a\x1b[31m.gguf")), 1, side().measured, said)
    printed = "\n".join([*table([evil, evil]), *answers([evil, evil], ("\x1b[2J",), 80)])
    assert unexpected(printed.encode()) == []


def test_a_perplexity_beyond_all_sense_keeps_its_column() -> None:
    assert [perplexity_text(value) for value in (1.0, 20.0855, 99_999.5, 4.4e11)] == [
        "1.000",
        "20.085",
        "99,999.500",
        "4.40e+11",
    ]


def test_a_model_that_finds_a_text_impossible_is_told_all_the_same() -> None:
    measured = structs.replace(side().measured, text=structs.replace(FACTS, nll=1e6))
    lost = Side(side().spec, 1, structs.replace(measured, divergence=structs.replace(APART, nll_change=1e6)), ())
    assert perplexity_of(structs.replace(FACTS, nll=1e6)) == (inf, inf)
    printed = "\n".join([*table([side(), lost]), *charts([side(), lost], color=False)])
    assert "inf ± inf" in printed
    assert "+inf% ± " in printed
    assert printed.endswith("  A " + "░" * 30 + " 20.086\n  B " + "█" * 30 + " inf")


def test_letters_go_on_behind_z() -> None:
    assert [letter(number) for number in (0, 1, 25, 26)] == ["A", "B", "Z", "27"]


def test_prompts_are_lines_or_json_lines() -> None:
    assert prompts_in("one\n\n  two  \n", "p") == ("one", "two")
    assert prompts_in('{"prompt": "a\u2028b"}\r\n{"prompt": "c\x85d"}', "p") == ("a\u2028b", "c\x85d")
    assert prompts_in('{"prompt": "one"}\n{"question": "two\\nlines", "x": 1}', "p") == ("one", "two\nlines")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("\n \n", "there is no prompt in p"),
        ('{"prompt": "a"}\nplain', "p, line 2 is no JSON"),
        ('{"answer": "a"}', "p, line 1 has no prompt"),
        ('{"prompt": 3}', "p, line 1 has no prompt"),
        ('{"prompt": "a"}\n[1]', "p, line 2 has no prompt"),
    ],
)
def test_broken_prompts_are_told_by_line(content: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        prompts_in(content, "p")


def test_two_models_are_compared(home: Path, tiny: Path, text: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("hello\n")
    flags = ("--text", str(text), "--prompts", str(prompts), "--ctx", "64", "--max-tokens", "4", "--threads", "1")
    asked = models(home, "compare", str(tiny), str(tiny), *flags)
    assert (asked.code, asked.err) == (0, "")
    assert asked.out.startswith("A  tiny\nB  tiny\n")
    assert "0.00000 ± 0.00000" in asked.out
    assert "100.00% ± 0.00" in asked.out
    assert "\n> hello\n" in asked.out
    assert f"Read: {text}, " in asked.out
    found = json.loads(models(home, "compare", str(tiny), str(tiny), *flags, "--json").out)
    base, other = found["models"]
    assert (found["text"], found["prompts"]) == (str(text), ["hello"])
    assert (base["divergence"], other["divergence"]["kl"], other["divergence"]["same_top"]) == (None, 0.0, 1.0)
    assert base["path"] == str(tiny)
    assert base["reading"]["window"] == 64
    assert other["answers"] == base["answers"]
    assert {*base["answers"][0]} == {"text", "tokens", "complete"}
    assert {*base} == {*other} == explained("llmchat models compare --json")
    assert list((home / "cache").iterdir()) == []


def test_types_of_the_cache_of_one_model(home: Path, tiny: Path, text: Path) -> None:
    wide = tiny_llama(text.with_name("wide.gguf"), width=256)
    flags = ("--text", str(text), "--ctx", "64", "--max-tokens", "2", "--threads", "1", "--json")
    found = json.loads(models(home, "compare", str(wide), "--kv-types", "f16, q8_0", *flags).out)["models"]
    assert [one["cache_type_v"] for one in found] == ["f16", "q8_0"]
    assert 0 < found[1]["divergence"]["kl"] < 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("a.gguf",), "one model has nothing to be compared with"),
        (("a.gguf", "b.gguf", "--kv-types", "f16,q8_0"), "types of one model's cache"),
        (("TINY", "--kv-types", "f16"), "two or more of f16, q8_0, q4_0"),
        (("TINY", "--kv-types", "f16,q9"), "two or more of f16, q8_0, q4_0"),
        (("TINY", "TINY", "--text", "gone.txt"), "gone.txt cannot be read"),
        (("TINY", "TINY", "--ctx", "4096"), "was trained on 2,048 tokens"),
    ],
)
def test_what_cannot_be_compared_is_told(home: Path, tiny: Path, arguments: tuple[str, ...], why: str) -> None:
    asked = models(home, "compare", *(str(tiny) if one == "TINY" else one for one in arguments))
    assert asked.code == 2
    assert why in asked.err
    assert "hint: " in asked.err


def test_a_perplexity_is_told_with_its_error(home: Path, tiny: Path, text: Path) -> None:
    flags = ("--ctx", "64", "--threads", "1")
    asked = models(home, "perplexity", str(tiny), str(text), *flags)
    assert (asked.code, asked.err) == (0, "")
    first, second, third = asked.out.splitlines()
    assert first.startswith("perplexity ")
    assert " ± " in first
    assert first.endswith("   tiny")
    assert "windows of 64, " in second
    assert third.startswith("The text is short")
    found = json.loads(models(home, "perplexity", str(tiny), "-", *flags, "--json", stdin=TEXT.encode()).out)
    assert f"perplexity {perplexity_text(found['perplexity'])} ± {perplexity_text(found['perplexity_error'])}" in first
    assert found["scored"] == found["windows"] * 31
    assert {*found} == explained("llmchat models perplexity --json")


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems hold UTF-8 names alone")
def test_a_text_whose_name_is_no_text_is_read(home: Path, tiny: Path, text: Path) -> None:
    odd = text.rename(text.with_name("bad\udcff.txt"))
    asked = models(home, "perplexity", str(tiny), str(odd), "--ctx", "64", "--threads", "1", "--json")
    assert (asked.code, asked.err) == (0, "")
    assert json.loads(asked.out)["file"] == str(text.with_name("bad\ufffd.txt"))


def test_a_text_shorter_than_a_window_is_told(home: Path, tiny: Path, text: Path) -> None:
    asked = models(home, "perplexity", str(tiny), str(text), "--ctx", "2048")
    assert asked.code == 0
    assert "they are one window, smaller than the 2,048 wanted" in asked.err


def test_a_text_that_is_none_is_told(home: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\0\1\2")
    assert models(home, "perplexity", str(tiny), str(tmp_path / "binary")).code == 9
    assert models(home, "perplexity", str(tiny), str(tmp_path / "gone")).code == 2
    assert models(home, "perplexity", str(tiny), str(tmp_path)).code in (2, 9)
    (tmp_path / "empty").write_text("")
    asked = models(home, "perplexity", str(tiny), str(tmp_path / "empty"))
    assert (asked.code, "there is no text in" in asked.err) == (2, True)
