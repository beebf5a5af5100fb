"""Checks for operators: data consistency (audit), the installation (doctor) and metrics from tables."""
