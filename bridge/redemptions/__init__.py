"""Redemptions: a shopper's points are held first, then become a promotion in Medusa, then are captured or released.

`terms.py` computes what a request costs and whether the programme allows it, `rewards.py` the same for the catalogue,
and `basket.py` how much of a cart points may discount. `service.py` reads and writes the rows. `advance.py` moves one
redemption on by calls to Medusa, with the bodies from `promotions.py`. `capture.py` books what an order really used. If
the state at Medusa is in doubt, Medusa is asked first.
"""
