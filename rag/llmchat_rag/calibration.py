"""The gate of an embedding model that nobody has measured by hand: found while indexing, on the user's own documents.

Half of the words of their sentences have an answer there; questions about everything else mostly have none. Kept in the
store with the model's fingerprint, and found anew when the store has grown. Knows no screen; nobody has to ask for it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from llmchat_rag.gate import OPEN, Gate, gate_at
from llmchat_rag.made import half_a_sentence
from llmchat_rag.store import Library
from llmchat_rag.types import Embedder
from llmchat_rag.vector_store import VectorStore

OWN = 200
"""Questions that are made of passages: 1 % of them is two."""
LEAST = 20
"""Of those, for a gate at all."""
GROWN = 4
"""Times as many passages as before ask for a new gate: the nearest of more passages is nearer."""
ABSTAIN, WARN = 0.15, 0.45
"""How far from the questions about everything else to the own ones: with all-MiniLM-L6-v2 0.31 and 0.39 on SciFact,
where 0.30 and 0.40 were measured by hand with questions that people wrote; 0.23 and 0.31 on a few pages of Markdown."""
WRONG = 50
"""One own question in so many may be refused; half of a sentence is a harder question than people ask."""
_NOTE = "gate"
OFF_TOPIC = (
    "How do I get candle wax off a wooden table?",
    "Which detergent should I use for a down jacket?",
    "How long does cooked rice keep in the fridge?",
    "How much water do I need to cook couscous?",
    "What spices go into a garam masala?",
    "How do I poach a pear in wine?",
    "Who won the Tour de France in 2003?",
    "How many points is a touchdown worth?",
    "What is a hat trick in cricket?",
    "How do I improve my breaststroke?",
    "How do I loop over a dictionary in Python?",
    "What does a 404 error mean on a website?",
    "How do I make a pivot table in Excel?",
    "How do I resize a partition on Windows?",
    "Can my landlord raise the rent twice in a year?",
    "How long is the warranty on a used fridge?",
    "Do I have to pay customs on a parcel from China?",
    "How do I contest a speeding ticket?",
    "What is there to see in Marrakesh in a weekend?",
    "Which vaccinations do I need for a trip to Kenya?",
    "Is there a night bus from Madrid to Porto?",
    "How cold does it get in Helsinki in March?",
    "How do I invest a small inheritance?",
    "What is a good interest rate for a car loan?",
    "When is the tax return due this year?",
    "Who composed the Four Seasons?",
    "Who played the villain in the first Batman film?",
    "What is the best novel by Jane Austen?",
    "How do I read bass clef?",
    "What style is the Eiffel Tower built in?",
    "When was the Magna Carta signed?",
    "Who was the last emperor of China?",
    "Why did the Titanic sink?",
    "How long did the Hundred Years' War last?",
    "How do I say thank you in Portuguese?",
    "What is the plural of octopus?",
    "How do I cite a newspaper article?",
    "How do I fix a dripping tap?",
    "Which drill bit do I need for tiles?",
    "How do I get rid of moss on a patio?",
    "When should I prune roses?",
    "How often do I water a cactus?",
    "Why does my cat scratch the sofa?",
    "How long can a dog stay home alone?",
    "What do baby hedgehogs eat?",
    "How far is the moon from the earth?",
    "Why is the sky blue?",
    "What is the boiling point of ethanol?",
    "How do magnets work?",
    "How many calories are in a banana?",
    "How do I treat a sunburn?",
    "What helps against hiccups?",
    "How do I fall asleep faster?",
    "How do I soothe a crying baby?",
    "At what age do children lose their first tooth?",
    "What should I wear to a summer wedding?",
    "How do I tie a bow tie?",
    "What do I say in a job interview about my weaknesses?",
    "How do I ask my boss for a raise?",
    "How do I change the oil of a motorcycle?",
    "Which tyres do I need in winter?",
    "How do I jump-start a car?",
    "How do I play the Sicilian defence?",
    "What are the rules of bridge?",
)
"""Of thirty subjects two each: a collection about one of them has answers to no more."""


def gate_of(library: Library, embedder: Embedder) -> Gate:
    """Returns the gate of an embedder: measured by hand, else on these documents, else one that is always open."""
    if embedder.gate:
        return gate_at(embedder.gate)
    kept = _kept(library, embedder)
    return kept[0] if kept else OPEN


def keep_gate(
    library: Library, embedder: Embedder, index: VectorStore, cancelled: Callable[[], bool] = lambda: False
) -> None:
    """Measures the gate where nobody has, or where the documents have become many more; some seconds.

    Args:
        library: the store.
        embedder: the one that made its vectors.
        index: of them, in the state of the store.
        cancelled: asked before each question; true leaves it for the next time.
    """
    count, kept = library.count(), _kept(library, embedder)
    if embedder.gate or (kept and count < GROWN * kept[1]):
        return

    def nearest(questions: Iterator[str]) -> list[float]:
        found = []
        for question in questions:
            if cancelled():
                break
            found += [cosine for _, cosine in index.search(embedder.encode_query(question), 1)]
        return found

    own, foreign = nearest(own_questions(library)), nearest(iter(OFF_TOPIC))
    if len(own) < LEAST or len(foreign) < len(OFF_TOPIC):
        return
    gate = between(own, foreign)
    note = {"fingerprint": embedder.fingerprint, "passages": count, "abstain": gate.abstain, "warn": gate.warn}
    library.set_note(_NOTE, json.dumps(note))


def between(own: Sequence[float], foreign: Sequence[float]) -> Gate:
    """Returns a gate by how near the nearest passage is.

    Args:
        own: to questions that have an answer.
        foreign: to questions that have none.
    """
    here, elsewhere = median(own), median(foreign)
    if here <= elsewhere:
        return OPEN
    abstain, warn = (elsewhere + part * (here - elsewhere) for part in (ABSTAIN, WARN))
    low = sorted(own)[len(own) // WRONG]
    return Gate(max(0.0, min(abstain, low)), warn)


def own_questions(library: Library, most: int = OWN) -> Iterator[str]:
    """Yields questions made of passages of a store, always the same ones."""
    chosen = random.Random(0)  # noqa: S311 - which passages are asked for is no secret
    last = library.last_chunk(library.position()) or 0
    made = 0
    # Ids are never used twice, so there are gaps.
    for start in range(0, len(keys := chosen.sample(range(1, last + 1), min(last, 20 * most))), most):
        for passage in library.passages(keys[start : start + most]).values():
            if made < most and (question := half_a_sentence(passage.text, chosen)):
                made += 1
                yield question


def _kept(library: Library, embedder: Embedder) -> tuple[Gate, int] | None:
    """Returns the gate that was measured for an embedder, and on how many passages."""
    note = library.note(_NOTE)
    found = json.loads(note) if note else {}
    if found.get("fingerprint") != embedder.fingerprint:
        return None
    return Gate(found["abstain"], found["warn"]), found["passages"]
