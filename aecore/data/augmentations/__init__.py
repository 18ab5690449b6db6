"""Augmentations: random changes of the training images."""
