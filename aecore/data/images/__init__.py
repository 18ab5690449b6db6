"""Image files: found, decoded and cached."""
