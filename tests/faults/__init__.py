"""What breaks, and what becomes of the answers: `python -m tests.faults [N] [--only WORD]` (docs/reliability.md)."""
