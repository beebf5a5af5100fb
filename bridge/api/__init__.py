"""The side windows: what the storefront (`store.py`), merchants and operators (`admin.py`) and monitors (`health.py`) see.

Each endpoint opens its transaction visibly and calls a room of the house; no rule lives here.
"""
