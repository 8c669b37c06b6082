"""The pure core: state is a fold of events; a request goes in, a decision comes out. No I/O, no clock, no chance."""
