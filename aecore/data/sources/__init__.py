"""Data sets by name: downloaded, drawn, or the user's own."""
