"""Queue disciplines: what packets wait in before they leave a device (Linux's net/sched)."""
