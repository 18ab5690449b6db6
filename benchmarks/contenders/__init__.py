"""Who trains: each module's `run` gives the seconds of every epoch, the first one included."""
