"""`python -m aecore`: the same as run.py."""

from aecore.cli import script

if __name__ == "__main__":
    script()
