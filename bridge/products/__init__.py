"""Prices of products in points, and points-only products, which only points can buy.

The admin API and the CLI write them, the storefront reads them. They are copied into the product's metadata in Medusa
for the storefront's product queries and the checkout guard.
"""
