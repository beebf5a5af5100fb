"""Reports for a merchant's accounting. Everything is read from the ledger; only a daily close is stored.

liability   the points owed at any moment, in points and in money
movements   what came in and went out, by day or month, with opening and closing figures
expiring    the points that expire in each month unless they are spent
breakage    what became of the points of each month: spent, taken back, expired, remaining
closes      the liability at the end of each day, stored with a digest of the whole ledger
"""
