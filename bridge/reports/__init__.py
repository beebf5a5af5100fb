"""What a merchant's books need of the programme. Everything here is read from the ledger; only a close is kept.

liability   what was owed at any moment, in dust and in money
movements   what came in and went out, by day or month, with the opening and the closing figure
expiring    what goes away in which month unless it is spent
breakage    what became of the dust of each month: spent, taken back, expired, still there
closes      the liability at the end of each day, kept with a digest of the whole book
"""
