"""The pure part of the recorder."""
