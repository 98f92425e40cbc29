"""From what agents did to what they need: usage → restrictions → backtest → a proposal for people.

Nothing here applies anything. Every restriction only refuses; policy languages are one file each (`plugin`).
"""
