"""report.html: a result as one page that needs no network."""
