"""Scenarios: stories in YAML with which a merchant tests rules before they are in force.

`document` reads one, `play` runs it through the real endpoints and sweeps (webhooks, Store and Admin API) with a
stand-in for Medusa (`shop`), and `run` provides an empty database. `dust scenario` and tests use it.
"""
