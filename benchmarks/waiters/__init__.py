"""Who waits: each module has ``wait(url, key, ids, seconds)``, which polls for what never finishes."""
