"""Judging scorers on labelled sessions, and fitting calibrations on honest ones."""
