"""Redemptions: a shopper's points are held first, then become a promotion in Medusa, then are captured or released.

`service.py` redeems points and requests releases. `lifecycle.py` has the states and every transition between them.
`repository.py` reads and locks rows. `pricing/` computes what a request costs and whether the programme allows it;
`carts.py` reads the cart that it is about. `medusa_sync.py` moves one redemption on by calls to Medusa, with the bodies
from `promotions.py`. `cart_codes.py` removes codes from carts. `capture.py` books what an order really used.
"""
