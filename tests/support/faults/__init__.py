"""The failure matrix: a running installation, what happens to it, and what must hold afterwards."""
