"""What chaos objects mean, without I/O."""
