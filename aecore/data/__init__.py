"""Images in memory or streamed from disk: read, split and batched."""
