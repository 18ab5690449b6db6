"""`python run.py model=vae dataset=mnist`: compose words into one experiment and run it."""

import sys

from aecore.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
