"""How much a token costs, ours and others': `make bench`, docs/performance.md."""
