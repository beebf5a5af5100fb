"""Dust: the service beside a Medusa shop. An event passes through these packages, in this order:

    1 webhooks     the endpoint: verify the signature of the raw bytes, store, answer
    2 inbox        every incoming event, stored once, with its state and the reason when it failed; reconcile, backfill
    3 settlement   what the ledger should hold for an order, by its document and the rules; post the difference
    4 ledger       balances, transactions, lots and holds
    5 redemptions  points on hold, promotions in Medusa, then captured or released
    6 medusa       client of the Admin and Store API, and the shapes of its documents

`programme` has the rules (arithmetic without I/O), `products` the points prices, `imports` balances from other
programmes, `simulation` settlement without writing, `outgoing` outgoing webhooks. `api` and `cli` are the interfaces
for storefronts and people. `reports` is for merchants and support, `operations` for operators. `db`, `http`, `queue`
and `observability` are shared. `tests/unit/test_architecture.py` enforces which package may import which.
"""
