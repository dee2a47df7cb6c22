"""A server in the place of a model on this machine: anything that speaks the OpenAI API.

The door of the package. Importing it imports no HTTP library: that happens when a server is asked.
"""

from llmchat_engine.remote.engine import RemoteEngine

__all__ = ["RemoteEngine"]
