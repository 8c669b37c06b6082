"""The event log: compare-and-append, following, compaction."""
