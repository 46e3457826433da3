"""PROCESSES: simulated traders and watchers, ready to be spawned.

flow       a seeded, realistic stream of commands, made by one kernel
portfolio  what a trader remembers of its own orders: slots, and the counts that must add up
settle     reports folded into that memory, everything checked on the way
trader     `trade`: submit, poll, settle, at a pace that overruns nobody
watcher    `watch`: a reader that rebuilds the books and compares them
clear      an end to open orders
board      one page of memory on which the members of a simulation see how far the others are
histogram  latencies, log-linear, made for being added up

flows      the flows that `spawn` knows by name       book_flows  those of them that look at the book
drive      `drive`: a gateway with a flow             driver      its loop, as a kernel in slices
pacer      when commands are due: an open loop        recorder    what it measures, in shared memory
memory     records that processes share by a path

signals    ticks into trades, stage by stage          quote_book  the newest quotes of all venues
arbitrage  two legs at once, and what one leaves      balance     groups of symbols, and the proof of their order
market_feed  the ticks of an exchange                 quoting     a bid and an ask kept in a book
holdings   positions, cash, profit                    taking      an order that trades at once, followed to its end
venues     market makers that disagree                recorded    quotes in a file
"""
