"""FILES: the log on disk. One process writes a folder of segments, anybody reads them, and what is read is checked record by record."""
