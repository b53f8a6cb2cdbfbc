"""Single guests: how they are reached, and what is kept of them; making them is `applying`'s."""
