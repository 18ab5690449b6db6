"""The documentation: its pages, and `python -m docs.build`, which writes what is generated."""
