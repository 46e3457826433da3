"""A measurement as a folder to keep and to send: what was measured, on what, how to repeat it, and pictures of it.

result.json     everything that was printed, the environment card, the command
*.hlog, *.hgrm  each histogram as HdrHistogram's V2 log and percentile text
*.png           the pictures
report.html     all of it on one page that asks nobody for anything
"""

from bench.report.folder import check_folder, write_report

__all__ = ["check_folder", "write_report"]
