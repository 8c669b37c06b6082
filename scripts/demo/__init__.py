"""What `podwire demo` applies and shows."""
