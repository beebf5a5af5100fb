"""Benchmarks: how fast Dust is. Each figure is measured in the same run as the limit that it is compared with.

`make bench` runs `__main__.py`. Each benchmark is a module. `installation.py` starts the servers and Dust's processes,
`deliveries.py` makes the requests, `load.py` sends them, `pgbench.py` measures Postgres alone, `report.py` reports.
"""
