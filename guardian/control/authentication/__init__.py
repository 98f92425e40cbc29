"""Who calls: the gate that every request passes, tokens as they were recorded, bound to certificates and about to
end, and the visits of people to the evidence pages. What a caller may do is policy's to say, through `authority`.
"""
