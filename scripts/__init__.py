"""What a person runs: the podwire command and its parts."""
