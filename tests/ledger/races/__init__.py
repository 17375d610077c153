"""Each money endpoint with twenty at once, over HTTP and with real threads: `--rounds N` runs each of them N times."""
