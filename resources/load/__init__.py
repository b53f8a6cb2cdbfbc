"""Load tests: a Locust client in a process of its own, and the raw rows that it leaves."""
