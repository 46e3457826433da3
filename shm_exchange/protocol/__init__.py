"""CODECS: what stands in files, as arrays and back. Bytes in, records out; no file is opened here.

flow          what every format becomes: commands, who sends them, when
referee       the public referee's `orders_*.bin`
csv_flow      our own form: a header row, decimals, words; csv_table finds its columns, csv_writer writes it
lobster       LOBSTER message and book files
lobster_flow  their messages as commands, and what can be known of the book after every row; lobster_book remembers it
lobster_day   both in an instrument's ticks and lots
"""
