"""PROCESS: the matcher. `python -m shm_exchange.matcher NAME` owns the book; nobody waits for anybody but the kernel.

memory   the bundle of words it writes and reads        sweep   lanes → log
step     log → engine → published outputs               idle    spin → yield → park
loop     bounded slices of all that, as one kernel      process the Python around it: attach, signals, counters
"""
