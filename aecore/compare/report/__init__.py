"""The comparison as text, files for programs, and a page."""
