"""The storage cost of images: as codes, and in lossless formats."""
