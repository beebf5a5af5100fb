"""The demo: a real Medusa shop with the Dust plugin, and a story of shoppers and a merchant played against it.

`install` and `shop` put up the shop, `seed` fills it, `people` are the shopper and the merchant, `story` is what they
do. `make demo` and the live tests bring it; nothing that serves a real shop imports it.
"""
