"""A file's bytes to text and blocks. Its libraries run in processes with limits: see pool.py."""
