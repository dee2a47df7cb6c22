"""A beam search on one context: what the search plans is copied and decoded, what is certain is told.

Knows sequences and one reply; the search itself is beam.py's, which knows neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from llmchat_engine.events import Token
from llmchat_engine.host.beam import BeamSearch, Plan
from llmchat_engine.host.context import Context, NoFreeCell
from llmchat_engine.host.ends import Ending
from llmchat_engine.host.feed import Feeder, rows
from llmchat_engine.host.lines import Line
from llmchat_engine.host.model import Vocab
from llmchat_engine.host.strands import Strand
from llmchat_engine.kvstore import common_prefix
from llmchat_engine.kvstore.values import pack_ids


class Beams:
    """Searches for the likeliest reply."""

    def __init__(self, context: Context, vocab: Vocab, feeder: Feeder, tick: Callable[[], None]) -> None:
        """Takes what it works with; `tick` is told whenever tokens were chosen."""
        self._context, self._vocab, self._feeder, self._tick = context, vocab, feeder, tick

    def look(self, strand: Strand, lines: list[Line], limit: int, length_penalty: float) -> Iterator[Token]:
        """Yields what all hypotheses share that can still win, as it is found, then the rest of the best.

        Args:
            strand: the reply, nothing of it said yet; gets the sequence that holds most of it.
            lines: a sequence for each hypothesis, all with the prompt, the logits behind it in the last row.
            limit: the most tokens there is room for.
            length_penalty: as `BeamSearch` has it.
        """
        ids = lines[0].ids.tolist()
        ends = Ending(self._vocab.is_eog, self._vocab.piece, strand.sampling.stop)
        search = BeamSearch(len(lines), ends, limit, length_penalty=length_penalty)
        plan = search.step([self._context.logits()])
        while plan is not None and not self._context.aborted:
            self._tick()
            self._lay_out(plan, lines)
            try:
                if not self._feeder.extend([lines[number] for number in plan.sequences], plan.tokens):
                    break
            except NoFreeCell:
                limit = min(limit, len(search.live[0].ids))
                break
            plan = search.step([self._context.logits(row) for row in rows(len(plan.tokens))])
            yield from self._told(strand, search.prefix, limit)
        self._tick()
        best = search.best()[0]
        # A finished one's sequence may hold another by now: the one with most of it is where the chat goes on.
        strand.line = max(lines, key=partial(_shared, [*ids, *best.ids]))
        strand.logprob = best.logprob
        yield from self._told(strand, best.ids, limit)
        if plan is not None and (self._context.aborted or strand.reason is None):
            strand.reason = "cancelled"
        elif strand.reason is None:  # a stop word in a thought: the search does not tell it from the answer
            strand.reason = "stop"

    def _lay_out(self, plan: Plan, lines: list[Line]) -> None:
        """Has each sequence hold what the next token of its hypothesis comes behind."""
        for source, target in plan.copies:
            self._feeder.cache.copy(lines[source], lines[target])
        for number in plan.dead:
            self._feeder.cache.truncate(0, lines[number])

    def _told(self, strand: Strand, ids: Sequence[int], limit: int) -> Iterator[Token]:
        """Adds what is certain by now to the reply."""
        for token in ids[len(strand.ids) :]:
            yield from strand.take(token, ends=self._vocab.is_eog(token), limit=limit)


def _shared(wanted: Sequence[int], line: Line) -> int:
    """Returns how many of the first ids a sequence has."""
    return common_prefix(pack_ids(wanted), line.packed)
