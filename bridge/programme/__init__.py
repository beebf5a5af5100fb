"""The rules: what a merchant writes down, versioned, and the arithmetic that follows from it.

`rules.py` is the document, `worth.py` the arithmetic (no I/O in either), `versions.py` keeps every version in Postgres.
Settlement and redemptions ask here; the admin API brings new versions.
"""
