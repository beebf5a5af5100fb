"""Calls to Medusa's Admin and Store API, and the shapes of its answers.

`client.py` has a method for each call; `transport.py` makes the call and translates errors; `orders.py` and `carts.py`
read the answers. Facts about Medusa were found on version 2.21.2. A comment describes each surprising behaviour.
"""
