"""`llmchat docs eval`: on questions made of the user's own documents, and on data in BEIR's format."""

from __future__ import annotations

import json
from pathlib import Path

from tests.tui.asking import Asked, ask


def docs(home: Path, *arguments: str) -> Asked:
    return ask(home, *arguments, command="docs")


def test_eval_asks_for_what_stands_in_the_documents_and_says_that_this_is_easy(home: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(4):
        words = " ".join(f"word{number}x{place}" for place in range(30))
        (notes / f"{number}.md").write_text(f"# A title of number {number} here\n\n{words}\n")
    assert docs(home, "add", str(notes)).code == 0
    done = docs(home, "eval")
    assert done.out.splitlines()[0].split() == ["weight", "of", "the", "meaning", "nDCG@10", "Recall@100", "MRR@10"]
    last = done.out.splitlines()[-1]
    assert last.startswith("8 questions: 4 titles, 4 made of half a sentence; easier than what people ask")
    facts = json.loads(docs(home, "eval", "--sweep", "--json", "-d", "notes").out)
    assert [row["alpha"] for row in facts["rows"]] == [step / 10 for step in range(11)]
    assert all(row["recall_100"] == 1.0 for row in facts["rows"])


def test_eval_on_data_in_beirs_format(home: Path, tmp_path: Path) -> None:
    data = tmp_path / "beir"
    (data / "qrels").mkdir(parents=True)
    texts = {"a/1": "The Forum opens at nine.", "b": "Fold the dough four times.", "c": "Tea needs three minutes."}
    rows = [json.dumps({"_id": key, "title": "", "text": text}) for key, text in texts.items()]
    (data / "corpus.jsonl").write_text("\n".join(rows))
    (data / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "when does the forum open"}) + "\n")
    (data / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta/1\t1\n")
    done = docs(home, "eval", "--data", str(data), "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["questions"] == 1
    assert {row["ndcg_10"] for row in facts["rows"] if row["alpha"] > 0} == {1.0}
    assert json.loads(docs(home, "ls", "--json").out)["collections"] == []
