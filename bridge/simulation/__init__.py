"""Simulation: orders are settled by the real settlement code, on temporary tables that are dropped afterwards.

Used by backfill's preview, `dust programme simulate`, and simulations that a merchant requests (`requests.py`). Nothing
but the result is written, and no row in use is locked.
"""
