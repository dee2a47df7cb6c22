"""A loaded model and its vocabulary: small owning wrappers over the C interface, byte for byte.

Knows no context, no messages, no templates. Not thread-safe: one thread owns them.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from llmchat_engine.errors import GenerationFailed, ModelUnreadable
from llmchat_engine.host.llama import Llama
from llmchat_engine.host.thought_forms import MARKS

_MMAP = 1
_PIECE_BYTES = 256


class Model:
    """A loaded model: weights and vocabulary."""

    def __init__(
        self,
        llama: Llama,
        path: str,
        *,
        gpu_layers: int = -1,
        extra_buffers: bool = True,
        check_tensors: bool = False,
        progress: Callable[[float], bool] = lambda _: True,
    ) -> None:
        """Loads the file.

        Args:
            llama: The library.
            path: A file that `models.gguf.read_header` has passed.
            gpu_layers: -1 offloads all layers where the build supports it.
            extra_buffers: Repack weights for this CPU. Off where AMX is listed and crashes.
            check_tensors: Read every weight and refuse those that are not finite numbers.
            progress: Called with 0..1; returning False stops the load.

        Raises:
            ModelUnreadable: llama.cpp refused the file; `why` is its last warning.
        """
        self.llama, self._c = llama, llama.c
        params = self._c.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.load_mode = _MMAP
        params.use_extra_bufts, params.check_tensors = extra_buffers, check_tensors
        callback = self._c.llama_progress_callback(lambda fraction, _data: progress(fraction))
        params.progress_callback = callback
        llama.warnings.clear()
        self.pointer = self._c.llama_model_load_from_file(os.fsencode(path), params)
        if not self.pointer:
            why = "; ".join(llama.warnings) or "llama.cpp gave no reason"
            raise ModelUnreadable(f"llama.cpp cannot load {path}", why, "download it again, or choose another with -m")
        self.vocab = Vocab(self._c, self._c.llama_model_get_vocab(self.pointer))

    @property
    def n_ctx_train(self) -> int:
        """The context length the model was trained on, in tokens."""
        return int(self._c.llama_model_n_ctx_train(self.pointer))

    @property
    def n_layer(self) -> int:
        """The number of layers."""
        return int(self._c.llama_model_n_layer(self.pointer))

    @property
    def n_swa(self) -> int:
        """The sliding window in tokens; 0 where attention sees everything."""
        return int(self._c.llama_model_n_swa(self.pointer))

    @property
    def n_params(self) -> int:
        """The number of weights."""
        return int(self._c.llama_model_n_params(self.pointer))

    @property
    def quantization(self) -> str:
        """The file type, like "Q4_1"."""
        name: bytes = self._c.llama_ftype_name(self._c.llama_model_ftype(self.pointer))
        return name.decode("utf-8", "replace").removeprefix("all ").split(" ")[0]

    @property
    def is_recurrent(self) -> bool:
        """True where the state cannot be rewound to an earlier token."""
        recurrent = self._c.llama_model_is_recurrent(self.pointer) or self._c.llama_model_is_hybrid(self.pointer)
        return bool(recurrent)

    @property
    def length_shapes_rope(self) -> bool:
        """Whether the context's length decides how positions are encoded (LongRoPE has factors for short and long)."""
        architecture = self._meta("general.architecture")
        return bool(self._meta(f"{architecture}.rope.scaling.original_context_length"))

    def _meta(self, key: str) -> str:
        buffer = ctypes.create_string_buffer(256)
        self._c.llama_model_meta_val_str(self.pointer, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    @property
    def can_decode(self) -> bool:
        """False for encoders, which cannot write text."""
        return bool(self._c.llama_model_has_decoder(self.pointer))

    @property
    def chat_template(self) -> str | None:
        """The template in the file, or None."""
        source: bytes | None = self._c.llama_model_chat_template(self.pointer, None)
        return source.decode("utf-8", "replace") if source else None

    def metadata(self) -> dict[str, str]:
        """Returns the scalar metadata of the file as text."""
        count = self._c.llama_model_meta_count(self.pointer)
        buffer = ctypes.create_string_buffer(4096)
        found = {}
        for index in range(count):
            self._c.llama_model_meta_key_by_index(self.pointer, index, buffer, len(buffer))
            key = buffer.value.decode("utf-8", "replace")
            if key.startswith(("general.", "tokenizer.chat")):
                self._c.llama_model_meta_val_str_by_index(self.pointer, index, buffer, len(buffer))
                found[key] = buffer.value.decode("utf-8", "replace")
        return found

    def close(self) -> None:
        """Frees the weights."""
        if self.pointer:
            self._c.llama_model_free(self.pointer)
            self.pointer = None


class Vocab:
    """Text to ids and back, byte for byte."""

    def __init__(self, bindings: Any, pointer: Any) -> None:
        self._c, self.pointer = bindings, pointer
        self.size = int(bindings.llama_vocab_n_tokens(pointer))
        self.bos = int(bindings.llama_vocab_bos(pointer))
        self.eos = int(bindings.llama_vocab_eos(pointer))
        self.add_bos = bool(bindings.llama_vocab_get_add_bos(pointer)) and self.bos >= 0
        self._piece = ctypes.create_string_buffer(_PIECE_BYTES)
        # llama.cpp reads user-defined tokens in any text, and in many models these marks are such tokens.
        marks = [text for mark in MARKS for text in mark[:2] if len(self._ids(text, special=False)) == 1]
        self._mark = re.compile("|".join(map(re.escape, marks))) if marks else None

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Returns the ids of a text; with `special`, texts like "<|im_start|>" become their one token."""
        if special or self._mark is None or not (found := list(self._mark.finditer(text))):
            return self._ids(text, special=special)
        cuts = [0, *(mark.start() + 1 for mark in found), len(text)]
        return [token for start, end in pairwise(cuts) for token in self._ids(text[start:end], special=False)]

    def _ids(self, text: str, *, special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        ids = (ctypes.c_int32 * room)()
        count = self._c.llama_tokenize(self.pointer, data, len(data), ids, room, False, special)
        if count < 0:
            raise GenerationFailed("the text could not be tokenised", f"it needs {-count} tokens, {room} were expected")
        return list(ids[:count])

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """Returns the bytes of one id; nothing for a control token unless `special`."""
        if not 0 <= token < self.size:
            raise GenerationFailed("a token id is outside the vocabulary", f"{token} of {self.size}")
        count = self._c.llama_token_to_piece(self.pointer, token, self._piece, len(self._piece), 0, special)
        if count < 0:  # longer than the buffer; llama.cpp answers with the size it needs
            self._piece = ctypes.create_string_buffer(-count)
            count = self._c.llama_token_to_piece(self.pointer, token, self._piece, -count, 0, special)
        return self._piece.raw[:count]

    def shown(self, token: int) -> str:
        """Returns an id as text for the user: its bytes as UTF-8, a control token by its name."""
        return self.piece(token, special=True).decode("utf-8", "replace")

    def is_eog(self, token: int) -> bool:
        """Returns True for every end-of-generation token, not only EOS."""
        return 0 <= token < self.size and bool(self._c.llama_vocab_is_eog(self.pointer, token))

    def end_texts(self, tokens: Iterable[int]) -> dict[int, str]:
        """Returns, for those of the ids that end a generation, the text a chat template writes for them."""
        return {token: self.text(token) for token in tokens if self.is_eog(token)}

    def text(self, token: int) -> str:
        """Returns the text of a special token, or an empty string where the vocabulary has none."""
        return self.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""
