"""One folder a room; `oracle` is the rule book in plain Python, `sim` a seeded simulator, `litmus` real processes."""
