"""What one request costs and brings: sending, tokens, retries, rate limits, files."""
