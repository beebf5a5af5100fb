"""The loyalty programme: the merchant's rules, in versions, and the arithmetic that follows from them.

`rules.py` is the document and `earning.py` the arithmetic (no I/O in either); `versions.py` stores every version in
Postgres. Settlement and redemptions read the rules; the admin API adds new versions.
"""
