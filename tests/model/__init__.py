"""The loader: plain data with places, and every problem at once."""
