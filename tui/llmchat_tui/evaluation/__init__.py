"""How well a model answers a set of questions, asked in several ways; headless."""
