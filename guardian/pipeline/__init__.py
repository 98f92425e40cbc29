"""The order of the rooms for one batch: bytes → events → observations → signals → drift → findings. No I/O.

watch, replay, score, evaluate and calibrate all use this one.
"""
