"""Measurements that print numbers and assert nothing; `python -m bench` is the way in."""
