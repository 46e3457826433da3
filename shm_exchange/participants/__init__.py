"""PROCESSES: simulated traders and watchers, ready to be spawned.

flow       a seeded, realistic stream of commands, made by one kernel
portfolio  what a trader remembers of its own orders: slots, and the counts that must add up
settle     reports folded into that memory, everything checked on the way
trader     `trade`: submit, poll, settle, at a pace that overruns nobody
watcher    `watch`: a reader that rebuilds the books and compares them
board      one page of memory on which the members of a simulation see how far the others are
histogram  latencies, log-linear, made for being added up
"""
