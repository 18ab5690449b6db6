"""From the command line to one validated tree of plain values: Hydra and pydantic, no torch."""
