"""Checks for operators: data consistency (audit), the installation (doctor), alerts, and metrics from tables."""
