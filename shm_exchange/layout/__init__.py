"""BYTES: every record and header that processes share, each declared once as a dtype, and the digest that proves both sides agree."""
