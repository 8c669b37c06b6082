"""Chaos Mesh's controllers and its daemon's work: chaos objects become faults of pods."""
