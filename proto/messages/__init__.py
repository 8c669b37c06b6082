"""The bus messages: typed, each with a schema number; unknown fields are ignored, foreign bytes are refused."""
