"""How the revocation list reaches gateways: polled whole or from a revision on, waited for, streamed, or pushed to
receivers outside. One look at the ledger serves all who wait for the same.
"""
