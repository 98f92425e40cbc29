"""A Slack of our own, for tests: the Web API, Socket Mode and interactivity that guardian uses.

It enforces what Slack documents: limits of blocks, views and texts, scopes, rate limits with Retry-After, trigger
ids that live three seconds, signatures over raw bodies. A script of troubles makes it fail as the real one does.
"""

from slack_server.limits import message_limits, view_limits
from slack_server.server import BOT, CHANNEL, TOKEN, USER, SlackServer

__all__ = ["BOT", "CHANNEL", "TOKEN", "USER", "SlackServer", "message_limits", "view_limits"]
