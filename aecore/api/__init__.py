"""The Python interface: load, fit, create, and the trained model."""
