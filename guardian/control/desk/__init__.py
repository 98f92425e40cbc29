"""Slack as a desk: where clicks and the slash command come in, and which calls of the control API they become, as
the person who acted. What stands in Slack for people to click on is made in `cases`.
"""
