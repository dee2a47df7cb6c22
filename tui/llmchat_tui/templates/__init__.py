"""Prompt templates: TOML files of the user, and those that come along."""
