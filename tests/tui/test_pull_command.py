"""`llmchat pull` against a hub on the loopback: what is chosen and told, what comes, and each way in which it fails."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import replace

import pytest
from tests.hub.faults import Fault
from tests.hub.server import TOKEN
from tests.tui.model_stage import REPO, Stage, staged, tiny

from llmchat_engine.models.fit.machine import Machine
from llmchat_engine.models.fit.memory import Free
from llmchat_engine.models.hub.pulled import record_of
from llmchat_engine.models.trials import Trial
from llmchat_tui.pulling import speed

HASH = hashlib.sha256(tiny("Q8_0")).hexdigest()


def test_the_best_for_this_machine_comes_and_is_tried(stage: Stage) -> None:
    pulled = stage.run("pull", REPO)
    path = stage.models / REPO / "tiny-Q8_0.gguf"
    assert pulled.code == 0, pulled.err
    assert hashlib.sha256(path.read_bytes()).hexdigest() == HASH
    assert "user/tiny-GGUF: Q8_0 of 3: " in pulled.err
    assert "fits with 8.6 GB free, about" in pulled.err
    assert "licence: apache-2.0" in pulled.err
    assert pulled.out.startswith("pulled user/tiny-GGUF:Q8_0 · ")
    assert pulled.out.endswith("ask it: llmchat ask -m tiny-Q8_0 '…'\n")
    assert stage.tried == [path]
    assert record_of(stage.models, path)


@pytest.mark.parametrize("words", [[f"{REPO}:q4_k_m"], [REPO, "--quant", "int4"], [f"{REPO}/tiny-Q4_K_M.gguf"]])
def test_what_is_named_is_what_comes(stage: Stage, words: list[str]) -> None:
    assert stage.run("pull", *words).code == 0
    assert [path.name for path in stage.models.rglob("*.gguf")] == ["tiny-Q4_K_M.gguf"]


def test_an_address_and_a_revision(stage: Stage) -> None:
    assert stage.run("pull", f"https://huggingface.co/{REPO}", "--revision", "main").code == 0
    refused = stage.run("pull", f"{REPO}:Q8_0", "--quant", "Q4_K_M")
    assert (refused.code, "the name says Q8_0" in refused.err) == (2, True)


def test_once_more_is_already_here_and_nothing_goes_over_the_line(stage: Stage) -> None:
    stage.run("pull", REPO)
    sent = stage.hub.sent
    again = stage.run("pull", REPO)
    assert again.out.startswith("user/tiny-GGUF:Q8_0 is already here · ")
    assert (again.code, stage.hub.sent) == (0, sent)
    assert len(stage.tried) == 1, "the verdict of the first time is known"


def test_quiet_tells_nothing_and_json_tells_all(stage: Stage) -> None:
    pulled = stage.run("pull", REPO, "-q", "--json")
    told = json.loads(pulled.out)
    assert pulled.err == ""
    assert (told["repo"], told["quantization"], told["licence"], told["fits"]) == (REPO, "Q8_0", "apache-2.0", "yes")
    assert told["files"] == [{"path": "tiny-Q8_0.gguf", "size": len(tiny("Q8_0")), "sha256": HASH}]
    assert (told["fetched"], told["already_here"], told["trial"]["ok"]) == (len(tiny("Q8_0")), False, True)
    assert told["paths"] == [str(stage.models / REPO / "tiny-Q8_0.gguf")]


def test_a_dry_run_pulls_nothing(stage: Stage) -> None:
    dry = stage.run("pull", REPO, "--dry-run")
    assert str(stage.models / REPO / "tiny-Q8_0.gguf") in dry.out
    assert json.loads(stage.run("pull", REPO, "--dry-run", "--json").out)["dry_run"] is True
    assert not stage.models.exists()
    assert stage.hub.sent == 0


def test_select_without_a_terminal_prints_the_table(stage: Stage) -> None:
    shown = stage.run("pull", REPO, "--select")
    assert {line.split()[1] for line in shown.out.splitlines()[1:]} == {"F16", "Q8_0", "Q4_K_M"}
    assert "best for this machine" in shown.out
    assert stage.hub.sent == 0


def test_what_does_not_fit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    with staged(stage.home, monkeypatch, room=1 << 20) as small:
        refused = small.run("pull", REPO)
        assert refused.code == 7
        assert "no model of user/tiny-GGUF fits this machine" in refused.err
        assert f"llmchat pull {REPO}:" in refused.err
        assert small.run("pull", f"{REPO}:Q8_0", "--dry-run").code == 0
        assert "does not fit" in small.run("pull", f"{REPO}:Q8_0").err


def test_what_does_not_load_is_told_with_exit_3(stage: Stage) -> None:
    stage.trial = Trial(False, "llama.cpp crashes on this file (SIGSEGV)", 0.1)
    bad = stage.run("pull", REPO)
    assert bad.code == 3
    assert "cannot be used — llama.cpp crashes on this file (SIGSEGV)" in bad.err
    assert "hint: llmchat rm tiny-Q8_0" in bad.err
    assert bad.out == ""


def test_what_could_not_be_tried_is_a_warning(stage: Stage) -> None:
    stage.trial = Trial(False, "it was not tried: it needs more memory", 0.1, lasting=False)
    pulled = stage.run("pull", REPO)
    assert pulled.code == 0
    assert "warning: tiny-Q8_0 is here; it was not tried" in pulled.err


def test_a_file_that_is_no_model_is_told_with_exit_3(stage: Stage) -> None:
    stage.hub.add("user/bad-GGUF", {"bad-Q8_0.gguf": b"GGUF" + b"\xff" * 400})
    bad = stage.run("pull", "user/bad-GGUF")
    assert bad.code == 3, bad.err
    assert "bad-Q8_0 was pulled whole, but it cannot be used — its header is damaged" in bad.err
    assert "hint: llmchat rm bad-Q8_0" in bad.err, "pulled again, the same would come"
    assert stage.tried == []


def test_a_split_model_comes_whole(stage: Stage) -> None:
    parts = {f"Q8_0/big-Q8_0-0000{n}-of-00002.gguf": tiny(f"part {n}") for n in (1, 2)}
    stage.hub.add("user/big-GGUF", parts)
    told = json.loads(stage.run("pull", "user/big-GGUF", "--dry-run", "--json", "-q").out)
    assert [file["path"] for file in told["files"]] == list(parts)


def test_an_embedding_model_comes_with_the_command_that_uses_it(stage: Stage) -> None:
    files = {
        "modules.json": b"[]",
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "model.safetensors": b"x" * 100,
        "pytorch_model.bin": b"no",
        "1_Pooling/config.json": b"{}",
    }
    stage.hub.add("intfloat/e5-small-v2", files, library="sentence-transformers", pipeline="sentence-similarity")
    pulled = stage.run("pull", "intfloat/e5-small-v2")
    assert pulled.code == 0, pulled.err
    assert "an embedding model: " in pulled.err
    assert pulled.out.endswith("use it: llmchat config set embedder intfloat/e5-small-v2\n")
    here = {str(path.relative_to(stage.models / "intfloat/e5-small-v2")) for path in stage.models.rglob("*.*")}
    assert {"model.safetensors", "1_Pooling/config.json"} <= here
    assert "pytorch_model.bin" not in here
    assert stage.tried == []


@pytest.mark.parametrize(
    ("faults", "environ", "code", "words"),
    [
        ([], {"HF_HUB_OFFLINE": "1"}, 6, ["HF_HUB_OFFLINE=1", "unset HF_HUB_OFFLINE"]),
        ([], {"HF_ENDPOINT": "http://127.0.0.1:9"}, 6, ["cannot be reached", "llmchat ls"]),
        ([Fault(status=401, error_code="GatedRepo")], {}, 6, ["is gated", "hf auth login"]),
        ([Fault(status=404, error_code="RepoNotFound")], {}, 6, ["there is no repository", "models search"]),
        ([Fault(status=429, retry_after="7")], {}, 6, ["asked too often", "wait 7 s"]),
        ([Fault(status=503)], {}, 6, ["failure of its own", "try again"]),
        ([Fault(page=True)], {}, 6, ["cannot be read"]),
    ],
)
def test_each_failure_has_its_own_sentence(
    stage: Stage, faults: list[Fault], environ: dict[str, str], code: int, words: list[str]
) -> None:
    stage.hub.faults.api.extend(faults)
    failed = stage.run("pull", REPO, **environ)
    assert failed.code == code, failed.err
    assert failed.err.startswith("llmchat: error: ")
    assert [word for word in words if word not in failed.err] == []
    assert failed.out == ""


def test_a_name_that_is_none_is_exit_2(stage: Stage) -> None:
    refused = stage.run("pull", "qwen3")
    assert refused.code == 2
    assert "hint: search for it: llmchat models search qwen3" in refused.err


def test_a_quantisation_that_is_not_there_names_those_that_are(stage: Stage) -> None:
    refused = stage.run("pull", f"{REPO}:Q2_K")
    assert refused.code == 6
    assert "Q8_0" in refused.err


def test_the_token_is_told_nowhere(stage: Stage) -> None:
    stage.hub.tokens.add(TOKEN)
    stage.hub.add("user/gated-GGUF", {"a-Q8_0.gguf": tiny("gated")}, gated=True)
    pulled = stage.run("pull", "user/gated-GGUF", HF_TOKEN=TOKEN)
    assert pulled.code == 0, pulled.err
    assert "gated: " in pulled.err
    bad = "Invalid credentials in Authorization header"
    stage.hub.faults.api.append(Fault(status=401, message=bad, echo=True))
    wrong = stage.run("pull", "user/gated-GGUF:Q8_0", HF_TOKEN=TOKEN)
    assert (wrong.code, "does not take the token" in wrong.err) == (6, True)
    told = pulled.out + pulled.err + wrong.out + wrong.err
    assert TOKEN not in told
    written = b"".join(path.read_bytes() for path in stage.home.rglob("*") if path.is_file())
    assert TOKEN.encode() not in written


def test_names_from_the_hub_are_data(stage: Stage) -> None:
    stage.hub.add("user/odd-GGUF", {"odd\u202e.gguf": tiny("odd")}, licence="\x1b[31mred\u202e")
    pulled = stage.run("pull", "user/odd-GGUF")
    assert pulled.code == 0, pulled.err
    assert {"\x1b", "\u202e"}.isdisjoint(pulled.err + pulled.out)
    assert "licence: " in pulled.err


def test_the_catalogue_off_a_terminal_is_printed_and_nothing_pulled(stage: Stage) -> None:
    shown = stage.run("pull", HF_HUB_OFFLINE="1")
    assert shown.code == 0
    assert "~" in shown.out
    assert "sizes with ~ are estimates" in shown.err
    told = json.loads(stage.run("pull", "--json", HF_HUB_OFFLINE="1").out)
    assert len(told) == len(shown.out.splitlines()) - 1
    assert {"name", "repo", "memory_gib", "size", "size_known", "fits", "verified"} <= set(told[0])
    assert stage.hub.sent == 0


def test_sizes_of_the_catalogue_are_those_of_the_hub(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmchat_engine.models.hub import catalogue

    entry = catalogue.Entry("Tiny", REPO, 1_000_000, 2, "tests", "apache-2.0", verified=True)
    gone = catalogue.Entry("Gone", "user/gone-GGUF", 1_000_000_000, 2, "tests", "apache-2.0", verified=False)
    monkeypatch.setattr(catalogue, "catalogue", lambda: (entry, gone))
    first, second = json.loads(stage.run("pull", "--json").out)
    assert (first["size"], first["size_known"]) == (len(tiny("Q8_0")), True)
    assert (second["size_known"], second["verified"]) == (False, False)


def test_the_command_that_is_told_can_be_pasted(stage: Stage) -> None:
    stage.hub.add("user/own-GGUF", {"my model.gguf": tiny("own")})
    pulled = stage.run("pull", "user/own-GGUF")
    assert pulled.code == 0, pulled.err
    assert shlex.split(pulled.out.rpartition("ask it: ")[2]) == ["llmchat", "ask", "-m", "my model", "…"]


def test_a_speed_is_told_from_size_and_type() -> None:
    machine = Machine(Free(8 << 30, ""), (), 20e9, 4)
    assert speed(0, "Q8_0", machine) == 0
    assert speed(10**9, "Q8_0", replace(machine, bandwidth=0.0)) == 0
    large, small = speed(8 * 10**9, "Q8_0", machine), speed(10**8, "Q8_0", machine)
    assert 1 < large < 2.5, "20 GB/s read 8 GB in 0.4 s"
    assert large < small
    assert speed(10**9, "UD-Q4_K_XL", machine) > speed(10**9, "Q4_1", machine), "half of it is work"
