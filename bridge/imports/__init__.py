"""Imports of balances from other programmes: a file is read, checked, stored row by row, and posted. Can be undone.

The command line calls this package. `presets.py` has the column names of known programmes and `reading.py` reads a
file. `customers.py` looks the customers up in Medusa, `batches.py` posts, `undo.py` reverses, and `export.py`
writes the same plain format.
"""
