"""`llmchat models quantize`: where the new file goes, what is said of it, what a signal leaves behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.engine.rig import until
from tests.engine.tiny_gguf import tiny_llama
from tests.tui.asking import Asked, ask, environment
from tests.tui.terminal import unexpected
from tests.tui.test_models_json import explained

from llmchat_engine.models.gguf import read_header


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A model in a folder of the user's."""
    folder = tmp_path / "mine"
    folder.mkdir()
    return tiny_llama(folder / "tiny-F32.gguf")


def quantize(home: Path, *arguments: str) -> Asked:
    return ask(home, "quantize", *arguments, command="models")


def test_it_goes_beside_its_source_and_says_what_next(home: Path, full: Path) -> None:
    asked = quantize(home, str(full), "--type", "int8", "--threads", "1")
    small = full.with_name("tiny-Q8_0.gguf")
    first, try_it, measure_it = asked.out.splitlines()
    assert (asked.code, asked.err) == (0, "")
    assert first.startswith(f"{small}: 12")
    assert "of 441 kB, 8.5" in first
    assert try_it == f"try it:      llmchat ask -m {small} 'Who are you?'"
    assert measure_it == f"measure it:  llmchat models compare {full} {small}"
    assert read_header(small).quantization == "Q8_0"


def test_a_model_of_ours_is_named_and_stays_among_ours(home: Path) -> None:
    folder = home / "models" / "user" / "repo"
    folder.mkdir(parents=True)
    tiny_llama(folder / "tiny-F32.gguf")
    asked = quantize(home, "tiny-F32", "--type", "q8_0", "--threads", "1")
    assert (asked.code, asked.err) == (0, "")
    assert "llmchat models compare tiny-F32 tiny-Q8_0" in asked.out
    assert (folder / "tiny-Q8_0.gguf").is_file()


def test_nothing_is_written_into_another_programs_store(home: Path) -> None:
    store = home / ".lmstudio" / "models" / "user" / "repo"
    store.mkdir(parents=True)
    tiny_llama(store / "tiny-F32.gguf")
    asked = quantize(home, str(store / "tiny-F32.gguf"), "--type", "q8_0", "--threads", "1")
    assert asked.code == 0, asked.err
    assert [one.name for one in store.iterdir()] == ["tiny-F32.gguf"]
    assert (home / "models" / "tiny-Q8_0.gguf").is_file()
    link = home / "link"
    link.symlink_to(store)
    again = quantize(home, str(link / "tiny-F32.gguf"), "--type", "q4_0", "--dry-run", "--json")
    assert json.loads(again.out)["path"] == str(home / "models" / "tiny-Q4_0.gguf"), "a link leads to the same store"


def test_a_link_to_another_programs_file_is_the_users_own(home: Path, tmp_path: Path) -> None:
    snapshot = home / ".cache" / "huggingface" / "hub" / "models--user--repo" / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    blobs = snapshot.parents[1] / "blobs"
    blobs.mkdir()
    blob = tiny_llama(blobs / "0123")
    (snapshot / "tiny-F32.gguf").symlink_to(blob)
    mine = tmp_path / "mine-F32.gguf"
    mine.symlink_to(blob)
    places = {}
    for source in (snapshot / "tiny-F32.gguf", blob, mine):
        found = json.loads(quantize(home, str(source), "--type", "int8", "--dry-run", "--json").out)
        places[source] = Path(found["path"]).parent
    assert list(places.values()) == [home / "models", home / "models", tmp_path]


def test_a_dry_run_writes_nothing(home: Path, full: Path) -> None:
    asked = quantize(home, str(full), "--type", "int4", "--dry-run")
    assert asked.code == 0
    assert asked.out.startswith(f"{full.with_name('tiny-Q4_K_M.gguf')}: 104 kB, 24% of 441 kB, 6.7")
    assert "fell back: 12 to q5_0, 2 to q8_0" in asked.err
    assert [one.name for one in full.parent.iterdir()] == [full.name]
    found = json.loads(quantize(home, str(full), "--type", "int4", "--dry-run", "--json").out)
    assert (found["type"], found["fallbacks"], found["requantized"]) == ("q4_k_m", {"q5_0": 12, "q8_0": 2}, [])


def test_the_json_says_everything(home: Path, full: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    found = json.loads(quantize(home, str(full), str(out), "--type", "int8", "--json", "--threads", "1").out)
    assert (found["source"], found["path"], found["type"]) == (str(full), str(out), "q8_0")
    assert found["size_after"] == out.stat().st_size
    assert found["tensors"] == 20
    assert {*found} == explained("llmchat models quantize --json")


def test_rounding_twice_needs_to_be_asked_for_and_is_warned_of(home: Path, full: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    quantize(home, str(full), str(first), "--type", "int8", "--threads", "1")
    refused = quantize(home, str(first), str(second), "--type", "q4_0")
    assert refused.code == 2
    assert "hint: take its F16 file, or --allow-requantize" in refused.err
    told = quantize(home, str(first), str(second), "--type", "q4_0", "--dry-run")
    assert "that takes --allow-requantize" in told.err
    asked = quantize(home, str(first), str(second), "--type", "q4_0", "--allow-requantize", "--threads", "1")
    assert asked.code == 0
    assert "warning: weights of q8_0 are rounded once more" in asked.err


def test_wrong_words_and_places_are_told(home: Path, full: Path) -> None:
    assert quantize(home, str(full), "--type", "int3").code == 2
    assert "there is no type int3" in quantize(home, str(full), "--type", "int3").err
    assert quantize(home, str(full)).code == 2
    assert quantize(home, str(full.with_name("gone.gguf")), "--type", "int4").code == 3
    (full.parent / "text.gguf").write_text("no model")
    assert quantize(home, str(full.parent / "text.gguf"), "--type", "int4").code == 3
    again = quantize(home, str(full), str(full), "--type", "int4", "--force")
    assert (again.code, "over itself" in again.err) == (2, True)


def test_a_hostile_file_name_reaches_no_terminal(home: Path, full: Path) -> None:
    evil = full.with_name("ev\x1b[31mil-F32.gguf")
    full.rename(evil)
    asked = quantize(home, str(evil), "--type", "int8", "--threads", "1")
    assert asked.code == 0
    assert unexpected((asked.out + asked.err).encode()) == []
    assert evil.with_name("ev\x1b[31mil-Q8_0.gguf").is_file()


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems hold UTF-8 names alone")
def test_a_name_that_is_no_text_is_refused(home: Path, full: Path) -> None:
    odd = full.with_name("bad\udcff-F32.gguf")
    full.rename(odd)
    asked = quantize(home, str(odd), "--type", "int8")
    assert (asked.code, "it is not UTF-8" in asked.err) == (2, True)
    odd.rename(full)
    for flags in ((), ("--dry-run", "--json")):
        asked = quantize(home, str(full), str(odd), "--type", "int8", *flags)
        assert (asked.code, "it is not UTF-8" in asked.err, "rename" in asked.err) == (2, True, False)


def test_ctrl_c_ends_it_with_130_and_leaves_nothing(home: Path, full: Path) -> None:
    script = (
        "import sys, llmchat_engine.models.quantizing.quantize as work; work._PROGRAM = 'tests.engine.hanging_child'\n"
        "from llmchat_tui.cli import main; main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", script, "models", "quantize", str(full), "--type", "int8"]
    part = full.with_name(".tiny-Q8_0.gguf.part")
    with subprocess.Popen(command, env=environment(home), stderr=subprocess.PIPE) as run:
        begun = until(lambda: run.poll() is not None or (part.exists() and part.stat().st_size), 60.0)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate()
    assert begun
    assert run.returncode == 130, errors
    assert [one.name for one in full.parent.iterdir()] == [full.name]
