"""`python -m aecore`: the same as run.py."""

import sys

from aecore.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
