"""guardian: the intent-drift monitor for AI agents."""

__version__ = "0.1.0"
