"""Who waits: each module has ``wait(url, key, ids, interval)``, which polls until the server ends it."""
