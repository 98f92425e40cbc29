"""Frozen values that check themselves; no I/O, no clock, no randomness."""
