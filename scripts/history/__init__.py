"""`podwire history`: the event log as it is, as it was, and what came of it from any point on."""
