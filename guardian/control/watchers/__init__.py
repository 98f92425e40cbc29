"""Watching the watchers: which gateways hold old news, which monitors are behind or gone, a ledger that was
restored from a backup, and the switch's own tests, from a planted decision to a refusal at the gateway.
"""
