"""What a real credential looks like. `credential_exposure` accuses by it, and the scanner takes credentials out of
every event before anything stores, embeds or shows it.
"""
