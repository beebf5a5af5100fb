"""Promises: dust a shopper spends, held first, then a promotion in Medusa, then captured or released.

`terms.py` says what a wish costs and whether the programme allows it, `rewards.py` the same of the catalogue, and
`basket.py` what of a cart dust may discount; `promises.py` keeps the rows; `advance.py` moves one promise on by talking
to Medusa, with what `promotions.py` writes; `uses.py` books what an order really used. A state in doubt is never
guessed: Medusa is asked first.
"""
