"""The link kinds. A new kind is one new file here."""
