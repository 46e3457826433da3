"""PROCESS: the keeper. `python -m shm_exchange.keeper NAME` writes the log ring to files; the matcher touches no file and never waits for one.

words        the keeper's page, and how it waits for the log and wakes the matcher      writing    log ring → segments, durable number, admission
checkpoints  replay behind the files, compare hashes with the matcher, write images     process    the loop around both
"""
