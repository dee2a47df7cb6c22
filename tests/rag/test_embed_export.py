"""What is adopted in place of torch, with writers and judges that are told what to say; and the re-ranker's time."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.rag.embed_models import safetensors, tokenizer, write_json

from llmchat_rag.embed import open_reranker
from llmchat_rag.embed.export import make_export
from llmchat_rag.embed.exports import RECIPE, Export, export_folder, noted_export
from llmchat_rag.embed.query import Tokens
from llmchat_rag.embed.reranker import LocalReranker, find_reranker
from llmchat_rag.errors import EmbedderBroken, EmbedderMissing

if TYPE_CHECKING:
    from llmchat_rag.types import Vector

pytest.importorskip("onnx", reason="onnx is not installed: pip install onnx")


def tiny_graph(path: Path) -> None:
    """Writes an ONNX file that multiplies by a matrix: enough to be quantised."""
    import onnx
    from onnx import helper, numpy_helper

    weights = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    put = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", put[:1], put[1:], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def judge(**cosines: float) -> Callable[[Path], float]:
    """Returns what says how far a file agrees, by its name."""
    return lambda path: cosines[path.stem]


def test_int8_is_taken_where_it_agrees(tmp_path: Path) -> None:
    found = make_export(tmp_path / "x", None, tiny_graph, judge(int8=0.99, fp32=1))

    assert (found.kind, found.agreement) == ("int8", 0.99)
    assert found.path == tmp_path / "x" / "model.onnx" and found.path.is_file()
    assert noted_export(tmp_path / "x") == found
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_float32_is_taken_where_int8_differs_too_much(tmp_path: Path) -> None:
    assert make_export(tmp_path / "x", None, tiny_graph, judge(int8=0.98, fp32=1)).kind == "fp32"


def test_nothing_is_taken_where_nothing_agrees_and_it_is_not_tried_again(tmp_path: Path) -> None:
    found = make_export(tmp_path / "x", None, tiny_graph, judge(int8=0.9, fp32=0.9))

    assert found == Export(None, "none")
    assert noted_export(tmp_path / "x") == found


def test_a_file_that_the_model_ships_is_taken_where_it_agrees(tmp_path: Path) -> None:
    ready = tmp_path / "ready.onnx"
    tiny_graph(ready)

    found = make_export(tmp_path / "x", ready, tiny_graph, judge(ready=0.99))
    assert (found.kind, found.path) == ("ready", ready)

    assert make_export(tmp_path / "y", ready, tiny_graph, judge(ready=0.5, int8=1)).kind == "int8"


def test_a_model_that_cannot_be_written_is_noted(tmp_path: Path) -> None:
    def write(_path: Path) -> None:
        raise RuntimeError("an operator without an ONNX form")

    assert make_export(tmp_path / "x", None, write, judge()).kind == "none"
    assert noted_export(tmp_path / "x") is not None


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ImportError("no onnx")])
def test_what_may_work_another_day_is_not_noted(tmp_path: Path, error: Exception) -> None:
    def write(_path: Path) -> None:
        raise error

    assert make_export(tmp_path / "x", None, write, judge()).kind == "none"
    assert noted_export(tmp_path / "x") is None
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_run_does_not_agree(tmp_path: Path) -> None:
    def agrees(path: Path) -> float:
        if path.stem == "int8":
            raise EmbedderBroken("cannot be run")
        return 1.0

    assert make_export(tmp_path / "x", None, tiny_graph, agrees).kind == "fp32"


def test_a_note_without_its_file_is_as_good_as_none(tmp_path: Path) -> None:
    make_export(tmp_path / "x", None, tiny_graph, judge(int8=1))
    (tmp_path / "x" / "model.onnx").unlink()

    assert noted_export(tmp_path / "x") is None
    assert make_export(tmp_path / "x", None, tiny_graph, judge(int8=1)).path == tmp_path / "x" / "model.onnx"


def test_two_that_export_at_once_end_with_one_whole_export(tmp_path: Path) -> None:
    both, found = threading.Barrier(2), list[Export]()

    def agrees(_path: Path) -> float:
        both.wait(30)
        return 1.0

    threads = [
        threading.Thread(target=lambda: found.append(make_export(tmp_path / "x", None, tiny_graph, agrees)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found[0] == found[1] == noted_export(tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_a_killed_process_left_is_swept_and_what_another_writes_is_not(tmp_path: Path) -> None:
    old, new = tmp_path / ".export-old", tmp_path / ".export-new"
    old.mkdir()
    new.mkdir()
    os.utime(old, (1, 1))

    make_export(tmp_path / "x", None, tiny_graph, judge(int8=1))

    assert not old.exists() and new.exists()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_home_exports_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert make_export(tmp_path / "e" / "x", None, tiny_graph, judge(int8=1)).kind == "none"
    finally:
        tmp_path.chmod(0o700)


def test_a_home_that_is_a_file_exports_nothing(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("", encoding="utf-8")

    assert make_export(tmp_path / "home" / "x", None, tiny_graph, judge(int8=1)).kind == "none"


def test_the_name_of_a_model_cannot_lead_out_of_the_home(tmp_path: Path) -> None:
    assert export_folder(tmp_path, "../../a b/..", "f" * 64) == tmp_path / "exports" / f"a-b-{'f' * 16}"


def slow_reranker(folder: Path, clock: list[float], each: float) -> LocalReranker:
    """Returns a re-ranker whose batches move a clock, and whose scores are the lengths of the texts."""

    def run(_question: str, texts: Sequence[str]) -> Vector:
        clock[0] += each * len(texts)
        return np.array([len(text) for text in texts], np.float32)

    write_json(folder / "tokenizer.json", tokenizer())
    return LocalReranker("slow", "f" * 64, Tokens(folder / "tokenizer.json", 512), run)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that only moves when it is told to."""
    now = [0.0]
    monkeypatch.setattr("llmchat_rag.embed.reranker.time.monotonic", lambda: now[0])
    return now


def test_scores_come_back_in_the_order_of_the_texts(tmp_path: Path, clock: list[float]) -> None:
    reranker = slow_reranker(tmp_path, clock, 0)

    scores = reranker.score("q", ["cat", "the cat sat", ""], 1)

    assert scores is not None and scores.tolist() == [3, 11, 0]


def test_a_re_ranker_gives_up_when_the_time_is_over(tmp_path: Path, clock: list[float]) -> None:
    texts = ["cat " * 400] * 20  # two to a batch
    reranker = slow_reranker(tmp_path, clock, 0.1)

    assert reranker.score("q", texts, 3) is not None
    clock[0] = 0
    assert reranker.score("q", texts, 0.8) is None
    assert clock[0] < 0.8  # it saw early that it would not do


def write_scorer(hub: Path, name: str, labels: int) -> Path:
    folder = hub / f"models--{name.replace('/', '--')}" / "snapshots" / "x"
    id2label = {str(number): f"LABEL_{number}" for number in range(labels)}
    write_json(folder / "config.json", {"architectures": ["BertForSequenceClassification"], "id2label": id2label})
    write_json(folder / "tokenizer.json", tokenizer())
    (folder / "model.safetensors").write_bytes(safetensors({"w": [2, 2]}))
    return folder


def test_without_a_re_ranker_a_command_is_named(tmp_path: Path) -> None:
    write_scorer(tmp_path, "a/sentiment", labels=2)

    with pytest.raises(EmbedderMissing) as missing:
        open_reranker("", tmp_path / "home", tmp_path)

    assert missing.value.hint == "llmchat pull cross-encoder/ms-marco-MiniLM-L6-v2"


def test_a_re_ranker_that_cannot_be_exported_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scorer(tmp_path, "a/ranker", labels=1)
    monkeypatch.setattr("llmchat_rag.embed.reranker.can_run", lambda: True)
    monkeypatch.setattr("llmchat_rag.embed.reranker.sys.executable", "/bin/false")

    with pytest.raises(EmbedderBroken, match="cannot be prepared — exit 1"):
        open_reranker("", tmp_path / "home", tmp_path)


def test_a_re_ranker_that_only_torch_can_run_is_none_for_a_chat(tmp_path: Path) -> None:
    write_scorer(tmp_path, "a/ranker", labels=1)
    place = find_reranker("", tmp_path / "home", tmp_path).place
    place.mkdir(parents=True)
    (place / "export.json").write_text(json.dumps({"recipe": RECIPE, "path": None, "kind": "none"}), encoding="utf-8")

    with pytest.raises(EmbedderBroken, match="without torch"):
        open_reranker("", tmp_path / "home", tmp_path, quick=True)


def test_without_sentence_transformers_the_file_that_a_re_ranker_ships_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmchat_rag.embed.reranker.can_run", lambda: False)
    folder = write_scorer(tmp_path, "a/ranker", labels=1)
    with pytest.raises(EmbedderMissing, match="nothing can run a/ranker"):
        open_reranker("", tmp_path / "home", tmp_path)

    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(EmbedderBroken, match=r"onnx/model\.onnx cannot be used"):
        open_reranker("", tmp_path / "home", tmp_path)


def test_a_named_re_ranker_that_is_missing_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(EmbedderMissing) as missing:
        open_reranker("cross-encoder/x y", tmp_path / "home", tmp_path)

    assert missing.value.hint == "llmchat pull 'cross-encoder/x y'"


def test_a_classifier_is_no_re_ranker(tmp_path: Path) -> None:
    folder = write_scorer(tmp_path, "a/sentiment", labels=2)

    with pytest.raises(EmbedderBroken, match="no single score"):
        open_reranker(str(folder), tmp_path / "home", tmp_path)
    with pytest.raises(EmbedderBroken, match="no single score"):
        open_reranker("a/sentiment", tmp_path / "home", tmp_path)


def test_a_pickled_re_ranker_is_refused(tmp_path: Path) -> None:
    folder = write_scorer(tmp_path, "a/ranker", labels=1)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    with pytest.raises(EmbedderBroken, match="pickle"):
        open_reranker("a/ranker", tmp_path / "home", tmp_path)
