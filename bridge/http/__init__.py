"""What every HTTP endpoint shares: errors, authentication, limits, headers and middleware."""
