"""RemoteEngine: an `Engine` over any server that speaks the OpenAI API."""
