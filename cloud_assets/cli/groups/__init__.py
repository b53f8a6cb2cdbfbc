"""What commands are called and what they take, a module a noun; what they do is `commands`'."""
