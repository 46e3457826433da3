"""The naive oracle: the rule book in plain Python, and the seeded flow that drives it. Imports nothing but `shm_exchange.domain`."""
