"""Lightning callbacks; none changes the arithmetic of training."""
