"""Self-contained HTML pages with charts: pure functions, no dependencies, no scripts."""
