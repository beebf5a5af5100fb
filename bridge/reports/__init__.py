"""Reports for a merchant's accounting. Only a daily close is stored; everything else is read
from the ledger, and marketing figures also from orders and redemptions.

liability   the points owed at any moment, in points and in money
movements   what came in and went out, by day or month, with opening and closing figures
expiring    the points that expire in each month unless they are spent
breakage    what happened to the points of each month: spent, taken back, expired, remaining
marketing   who buys and redeems, what referrals bring, and what the programme costs
closes      the liability at the end of each day, stored with a digest of the whole ledger
"""
