"""Balances from elsewhere: a file is read and checked, kept row by row, posted to the ledger, and can be undone.

The command line brings files here. `presets.py` knows whose columns mean what, `reading.py` reads a file,
`customers.py` asks Medusa who is meant, `batches.py` posts and undoes, `writing.py` writes the same plain format.
"""
