"""Metrics that compare generated images with real ones by the features of a network."""
