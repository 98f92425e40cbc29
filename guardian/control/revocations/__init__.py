"""Revocations of sessions and of subjects, what follows from them down the lines of delegation, and how they are
taken back. What is too much for one transaction is gone on with in later ones.
"""
