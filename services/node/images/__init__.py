"""Images that machines can run."""
