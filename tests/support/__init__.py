"""What tests share: signed deliveries, orders in Medusa's shape, tokens, and a stand-in for Medusa."""
