"""What users notice when one component is away: a constant load in every way there is to use a cluster, and a table of
what breaks and what does not. Run on processes (tests/processes) and on containers (tests/compose)."""
