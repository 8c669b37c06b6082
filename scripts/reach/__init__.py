"""`podwire reach`: who can reach whom, as a table that real exchanges fill."""
