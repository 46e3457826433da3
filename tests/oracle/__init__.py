"""The naive oracle: the rule book in plain Python, importing nothing of ours but `shm_exchange.domain`; and the seeded flow that drives it."""
