"""Settlement: computes what an order should hold in the ledger, and posts the difference.

The inbox, reconcile and backfill bring orders here; the ledger and the redemptions are changed accordingly. Each call
computes the whole target again instead of adding up events. So duplicate, late and lost events lead to the same result.
"""
