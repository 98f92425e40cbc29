"""How data leaves, for `chain_exposure`: what is sensitive and can be followed from one call to the next, to whom
an act carries it or where it looks outside, and how far the purpose vouches for that.
"""
