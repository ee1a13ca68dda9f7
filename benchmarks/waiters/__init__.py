"""Who waits: each module has ``wait(url, ids, seconds)``, which polls for predictions that never finish."""
