"""QUEUES: lanes (commands in), report rings (answers out) and the broadcast ring of events. Sequences live in the slots; nothing is ever claimed.

lane        one gateway writes, the matcher reads        reports     the matcher writes, one gateway reads
broadcast   the matcher writes, anybody reads            publish     the matcher's side of reports and events
"""
