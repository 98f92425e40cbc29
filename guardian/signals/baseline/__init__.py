"""What the past of a purpose was: how a finished session enters the next snapshot, and how far what an act means
lies from it. For `purpose_baseline`; `envelope_hygiene` measures by it how much a purpose constrains.
"""
