"""For trying Dust out and developing it: embedded servers (`dust up`), the demo shop, and scenarios of rules.

Only commands import this package. No process that serves a shop needs it.
"""
