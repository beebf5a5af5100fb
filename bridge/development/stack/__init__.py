"""The servers and processes behind `dust up` and `dust demo`: Postgres, Redis and Dust's own, on one machine.

Each server is a context manager that yields a URL. What is started here ends with the process that started it, however
that process ends. An installation with servers of its own needs none of this.
"""
