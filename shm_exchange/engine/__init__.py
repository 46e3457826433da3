"""RULES: the matching engine. Pure functions of the log: command in, outputs out; no clock, no float, no randomness decides anything.

book      the bundle of arrays and their records          index     open addressing from ids and keys to slots
ladder    price levels in a 64-ary trie of bitmaps         orders    the order pool and the sessions' lists
outputs   reports and events, written behind the tails     validate  which reject reason applies first
match     one side-symmetric matching loop                 commands  what each command does
apply     the dispatcher over a stretch of the log         check     every invariant, and the state hash
image     the state apart from where it lies               accounts  sessions and accounts, as commands of the log
engine    all of it as one object, for tests and tools
"""
