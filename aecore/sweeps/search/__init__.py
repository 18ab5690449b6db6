"""A search: Optuna chooses the jobs of a multirun by the results of the jobs before."""
