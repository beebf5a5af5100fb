"""Scenarios: stories in YAML that a merchant writes and Dust plays, to see what rules do before customers do.

`document` reads one, `play` plays it through the real endpoints and sweeps (webhooks, Store and Admin API) against a
stand-in for Medusa (`shop`), and `run` brings a fresh database. `dust scenario` and the tests bring the files.
"""
