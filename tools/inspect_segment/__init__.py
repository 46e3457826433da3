"""Looking into the memory of an exchange, alive or dead, as `python -m tools.inspect_segment`.

    __main__   the command line
    picture    everything in figures                 tables    the same as text
    reading    consistent copies of what others write             words     records in words
    dump       regions: where they lie, records field by field, bytes
    header     the layout for other languages: the common part    header_c, header_rust

Nothing here takes part: the file is mapped read-only, no lock is taken, no session, and no kernel is needed (numba is not imported). Everything is
read once, never in a loop, so a running matcher notices nothing.
"""
