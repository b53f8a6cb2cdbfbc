"""One module a noun of `ai-how`; each function is what one of `main`'s commands does."""
