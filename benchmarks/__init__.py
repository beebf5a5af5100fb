"""How fast Dust is, each figure beside the limit it is held against, in the same run on the same machine.

`__main__.py` is what `make bench` runs; one module for each measure; `house.py` starts servers and Dust's processes,
`deliveries.py` makes what is sent, `load.py` sends it, `pgbench.py` says what bare Postgres does, `report.py` tells.
"""
