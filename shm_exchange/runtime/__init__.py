"""LIFE: what every process of the exchange needs around its work: cores, signals, the end of others, and how our own programs are started.

    affinity  which cores we may use, pinning, and whether spinning is decent
    pidfd     handles of processes that can never mean another one
    signals   signals as readable bytes, for loops that poll
    machine   what the kernel says of this machine          cgroups   what a container allows us
    trials    does the kernel let us                        findings  a verdict and its cure
    needs     what an exchange cannot run without           speed     what makes it slower or its figures noisier
    launch    `python -m …` of this package, with the caller's import path and nothing else inherited
    channel   JSON lines between parent and child
    warm      every kernel compiled once, by one process

Nothing here imports numba: a supervisor must be up in a fraction of a second.
"""
