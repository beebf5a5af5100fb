"""Simulation: orders are settled by the real settlement code, on temporary tables that are dropped afterwards.

Used by backfill's preview and `dust programme simulate`. Nothing is written, and no row in use is locked.
"""
