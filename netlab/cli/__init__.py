"""Words in, one call, a rendering out."""
