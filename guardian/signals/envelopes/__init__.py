"""An envelope held against a call, and against another envelope: which rules a call breaks for certain, what only
may lie outside, and where a child's or a later envelope allows more. For `envelope_breach`, `delegation_widening`
and `envelope_hygiene`.
"""
