"""WORDS: the enums, limits, errors and the instrument. Nothing here knows of memory or processes."""
