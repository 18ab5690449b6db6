"""What run.py can do with a configuration or a trained run."""
