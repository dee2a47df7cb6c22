"""Keys and pipes in, paint and lines out: the hall where the rooms are wired together."""

__version__ = "0.1.0"
