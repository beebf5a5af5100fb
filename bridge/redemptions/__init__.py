"""Redemptions: a shopper's points are held first, then become a promotion in Medusa, then are captured or released.

`pricing/` computes what a request costs and whether the programme allows it. `service.py` reads and writes the rows.
`medusa_sync.py` moves one redemption on by calls to Medusa, with the bodies from `promotions.py`. `capture.py` books
what an order really used. If the state at Medusa is in doubt, Medusa is asked first.
"""
