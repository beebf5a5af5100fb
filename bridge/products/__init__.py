"""Dust prices: which products dust can buy, for how much, and which only dust can buy.

The admin API and the CLI write them, the storefront reads them. They are mirrored into the product's metadata in
Medusa, where the storefront's own product queries and the checkout guard see them.
"""
