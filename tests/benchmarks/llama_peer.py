"""The peer in a process of its own: llama-cpp-python's `Llama`; one order a line on stdin, one answer a line on stdout.

`python llama_peer.py MODEL N_CTX THREADS BATCH_THREADS`. Knows llama_cpp and nothing of llmchat: it also runs in an
environment that has llama-cpp-python alone.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def main(arguments: list[str]) -> None:
    """Loads the model, says so, and serves until stdin ends."""
    from llama_cpp import Llama, __version__

    path, n_ctx, threads, batch_threads = arguments[0], *map(int, arguments[1:])
    llama = Llama(
        path,
        n_ctx=n_ctx,
        n_batch=512,
        n_ubatch=512,
        n_threads=threads,
        n_threads_batch=batch_threads,
        flash_attn=False,
        verbose=False,
    )
    _answer({"version": __version__})
    for line in sys.stdin:
        order = json.loads(line)
        _answer(chat(llama, **order) if "messages" in order else measure(llama, **order))


def measure(llama: Any, question: str, tokens: int, seed: int) -> dict[str, Any]:
    """Asks, and returns how long it took, on the clock of whoever reads the stream."""
    llama.reset()
    moments, reason = [], None
    began = time.perf_counter()
    stream = llama.create_chat_completion(
        [{"role": "user", "content": question}],
        stream=True,
        max_tokens=tokens,
        seed=seed,
        temperature=0.8,
        top_k=40,
        top_p=0.95,
        min_p=0.05,
        repeat_penalty=1.0,
    )
    for chunk in stream:
        choice = chunk["choices"][0]
        if choice["delta"].get("content"):
            moments.append(time.perf_counter())
        reason = choice["finish_reason"] or reason
    moments = moments or [time.perf_counter()]  # the first token ended the reply
    complete = reason == "length"
    written = tokens if complete else len(moments)
    return {
        # What is in the context when the last token has been sampled: the prompt, and every token of the reply but it.
        "prompt_tokens": llama.n_tokens - (written - 1),
        "tokens": written,
        "to_first": moments[0] - began,
        "first_to_last": moments[-1] - moments[0],
        "complete": complete,
    }


def chat(llama: Any, messages: list[dict[str, str]], tokens: int, temperature: float) -> dict[str, Any]:
    """Asks in a chat, with whatever the cache still holds of it; returns when the first text came, and all of it."""
    first, text = 0.0, []
    began = time.perf_counter()
    for chunk in llama.create_chat_completion(messages, stream=True, max_tokens=tokens, temperature=temperature):
        if content := chunk["choices"][0]["delta"].get("content"):
            first = first or time.perf_counter()
            text.append(content)
    return {"to_first": (first or time.perf_counter()) - began, "text": "".join(text)}


def _answer(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
