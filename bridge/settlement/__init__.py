"""Worth: from an order's facts to what the ledger should hold for it, and the difference posted.

The inbox brings orders here, whichever way they came; the ledger and the redemptions take what follows. Nothing is
added up event by event: every call computes the whole target anew, so that duplicates, disorder and loss converge.
"""
