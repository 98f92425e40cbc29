"""Advice before the act: whether a proposed call may go through, weighed as the monitor would weigh it once it is
logged. How the question is read, who answers it, and what holds while the answer takes too long.
"""
