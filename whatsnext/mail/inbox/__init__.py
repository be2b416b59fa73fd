"""Reading what others send: sizes first, then in a process of its own (safety.md M1, M2)."""
