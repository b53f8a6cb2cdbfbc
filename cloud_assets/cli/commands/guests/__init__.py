"""What is done inside a machine or with what is kept of it: logins, consoles, snapshots."""
