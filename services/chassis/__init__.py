"""What every process stands on: bus, event log and watch, claims, clock, chance, tasks, settings, logs, health."""
