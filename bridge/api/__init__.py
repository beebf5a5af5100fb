"""HTTP API: for the storefront (`store.py`), merchants and operators (`admin.py`) and monitoring (`health.py`).

Each endpoint opens its transaction and calls a function of another package. Business rules live there, not here.
"""
