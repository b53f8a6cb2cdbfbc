"""Services used for real, a module each: what came of it, or the error that they gave."""
