"""The built-in scenario: several teams' agents at work, most of them honest, and a gateway."""
