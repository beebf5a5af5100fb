"""Promises: dust a shopper spends, held first, then a promotion in Medusa, then captured or released.

`terms.py` says what a wish costs and whether the programme allows it; `promises.py` keeps the rows; `advance.py` moves
one promise on by talking to Medusa; `uses.py` books what an order really used. A state in doubt is never guessed:
Medusa is asked first.
"""
