"""Model files on this machine: read, checked, found by name, fitted into memory. Import from the files in here."""
