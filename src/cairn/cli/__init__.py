"""The command line: cairn <noun> <verb>."""
