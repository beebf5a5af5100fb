"""The side windows: for the storefront (`store.py`), merchants and operators (`admin.py`) and monitors (`health.py`).

Each endpoint opens its transaction visibly and calls a function of another package; no rule lives here.
"""
