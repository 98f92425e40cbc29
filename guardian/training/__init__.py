"""Build the drift model from labelled sessions (what uses torch needs the `train` extra)."""
