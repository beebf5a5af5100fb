"""What may be redeemed, and for how many points. No I/O.

`terms.py` has discounts and products, `rewards.py` the catalogue, `basket.py` how much of a cart points may discount.
"""
