"""What each command does, from settings. Parsing and printing are in `cli`."""
