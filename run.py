"""`python run.py model=vae dataset=mnist`: compose words into one experiment and run it."""

from aecore.cli import script

if __name__ == "__main__":
    script()
