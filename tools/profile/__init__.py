"""`python -m tools.profile`: where a process of an exchange spends its time, with the names of its kernels.

target      the process to look at: found by its exchange, waited for until it is busy
sampling    perf, or py-spy where perf is not to be had: who samples, with what, and why not
kernels     names of machine code in memory, and who calls it
stacks      what the samplers wrote, as stacks of readable frames
flamegraph  formats    pictures and files of them
recipes     perf stat, perf c2c, perf sched on the same process
stages      the slowest orders as a timeline
doctor      what of all this works here, and what to do about the rest
"""
