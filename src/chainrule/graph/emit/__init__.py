"""Programs in other languages, written from a graph."""
