"""Functions made of primitives: they need no rule of their own, and have derivatives of every order."""
