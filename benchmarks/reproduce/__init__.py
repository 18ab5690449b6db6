"""Repeats the experiments of five public documents and writes RESULTS.md from the runs."""
