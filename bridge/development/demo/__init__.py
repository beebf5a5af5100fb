"""The demo: a real Medusa shop with the Dust plugin, and a story that a shopper and a merchant play in it.

`install` and `shop` build and run the shop, `seed` fills it, `people` has clients for the shopper and the merchant, and
`story` has the steps. `make demo` and the live tests use it.
"""
