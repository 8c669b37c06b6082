"""Network devices: what a frame goes out of and comes in at."""
