"""From signals to a verdict in plain units: fuse, compare with honest traffic, accumulate, promise."""
