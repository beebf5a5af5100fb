"""The way out: Medusa's Admin and Store API, and the shapes we read from it.

`client.py` makes the calls and turns foreign errors into ours, `orders.py` and `carts.py` read what comes back. Facts
about Medusa were found on version 2.21.2; where its behaviour surprises, a comment says how.
"""
