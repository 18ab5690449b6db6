"""Data sets by name: downloaded, generated, or of the user."""
