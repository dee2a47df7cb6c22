"""Passages and questions to vectors. The door of the subject; heavy libraries are loaded where they are used.

Knows no store, no chunks and no search.
"""

from llmchat_rag.embed.finding import find_model, hub_folder, local_models
from llmchat_rag.embed.models import Model, read_model
from llmchat_rag.embed.opening import open_embedder, open_query_encoder
from llmchat_rag.embed.reranker import open_reranker

__all__ = [
    "Model",
    "find_model",
    "hub_folder",
    "local_models",
    "open_embedder",
    "open_query_encoder",
    "open_reranker",
    "read_model",
]
