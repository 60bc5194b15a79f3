"""The node kinds. A new kind is one new file here."""
