"""`python -m bench compare A B`: is B slower than A? Two checkouts or revisions, run in turns, and a verdict with an interval."""
