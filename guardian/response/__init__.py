"""From a verdict to a finding and a wanted effect: the ladder. Pure; nothing here acts."""
