"""What calls and purposes say, as every signal reads it: names made comparable, what the arguments of a call name,
whom and what a purpose names and asks for, and whether an act reads or carries data out. No signal is in here;
it knows nothing of the packages beside it.
"""
