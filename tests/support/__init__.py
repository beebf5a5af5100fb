"""What tests share: signed deliveries, orders in Medusa's shape, tokens, and a fake Medusa."""
