"""The modules of PyTorch, by kind."""
