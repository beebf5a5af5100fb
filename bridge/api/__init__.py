"""HTTP API: for the storefront (`store/`), for merchants and operators (`admin/`), and for monitoring (`health.py`).
`webhook_payloads.py` describes the outgoing webhooks for the OpenAPI schema.

A module holds the endpoints of one resource, with their request and response models. Each endpoint opens its
transaction and calls a function of another package. Business rules live there, not here.
"""
