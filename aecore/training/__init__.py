"""One experiment: prepared, trained, evaluated, and written to its run folder."""
