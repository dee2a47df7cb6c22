"""Smaller models out of large ones, and what that costs: each piece of work in a process of its own."""
