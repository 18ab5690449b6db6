"""Tasks of run.py with a configuration or a trained run."""
