"""Servers and processes of `dust up` and `dust demo`: Postgres, Redis and Dust's own, on one machine.

Each server is a context manager that yields a URL. All processes end with the process that started them, even if that
one is killed. An installation with its own servers does not need this package.
"""
