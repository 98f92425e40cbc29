"""Cases, for channels such as Slack that keep one message for each: what is told of a session in one place, how it
came to be so and how it stands, and the outbox that writes that there.
"""
