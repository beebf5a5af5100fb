"""Dust, the bridge beside a Medusa shop. One road runs through it, in six stops:

    1 webhooks     the door: verify the signature on the raw bytes, keep, answer
    2 inbox        rest: every event durable and deduplicated, with its state and the reason when it fails
    3 settlement   worth: what the ledger should hold for an order, by its facts and the rules; post the difference
    4 ledger       the heart: balances, transactions, lots and holds; one writer
    5 redemptions  promises: dust held, a promotion in Medusa, then captured or released
    6 medusa       the way out: the Admin API client and the shapes we read

`programme` (the rules, pure arithmetic), `products` (dust prices), `imports` (balances from elsewhere) and `simulation`
(settling for show) stand beside the road; `api` and `cli` are its side windows; `notices` is the other way out:
webhooks that tell the shop what happened, so that it can send its mails. A stop imports stops to its right and the
small shared files, never one to its left.
"""
