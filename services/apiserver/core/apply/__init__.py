"""Server-side apply: who owns which field of an object, and what an applied configuration makes of it (KEP-555)."""
