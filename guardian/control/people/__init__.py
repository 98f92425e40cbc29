"""What people do, alone or two together: acts on sessions and modes, approvals and who decides them, break-glass
and exceptions. Each is asked of policy, done, put up or refused, and audited, in one transaction.
"""
