"""The evidence pages: server-rendered HTML for the people who decide, in front of the control API.

The pages have no rights of their own. Each request of a signed-in person becomes requests of the control API with
that person's token, so that policy decides and the audit trail names them, as for everybody else's calls. What
this room is given it gets as ports (`ports.py`); it sees neither control nor its store.
"""
