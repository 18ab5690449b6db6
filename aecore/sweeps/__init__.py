"""Many runs: planned, launched and resumed."""
