"""Every figure that we quote, as a command: `guardian bench NAME --json`."""
