"""The version of this package, and the format of the files that it writes."""

__version__ = "0.3.0"
FORMAT = 1  # of runs, sweeps, exports and caches; raised only by a change that cannot be read
EARLIER = {0: "0.2.0"}  # earlier formats, each with the last version that reads it
