"""`shm-exchange top`: a running or dead exchange on one screen.

    command      the command: flags, what it needs, what it says where there is no screen to draw on
    reading      one look at an exchange: its counters, books, events and processes, all read-only
    processes    what the system knows about them: cpu, core, state
    tape         the last trades, from as few events as possible
    probe        a round trip of our own, where it is asked for
    figures      rates from the counters of two looks                      pure, as all that follow but the last
    rows         who takes part: supervisor, matcher, sessions
    alarms       what is wrong, in words
    text         the bricks of pictures: columns, bars, numbers
    panels       title, headline, warnings, pace: lines of a given size
    crowd        the table of those who take part, likewise
    market       ladder, trades, best prices, likewise
    arrangement  where the panels stand on a terminal of a given size
    sheet        panels as one plain picture, and the same as one object
    screen       panels on a terminal, five times a second, and keys

A look costs the matcher a few cache lines of counters, one snapshot a book and at most 256 events; nothing is added to the way of an order. Where
cores are few the screen has the lowest priority, so that it waits and not the exchange.
"""
