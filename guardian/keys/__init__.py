"""Signing keys, bearer tokens and the seal for what is kept at rest."""
