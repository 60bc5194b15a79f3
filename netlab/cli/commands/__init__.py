"""What one can say to netlab, by what it is for; each says how, and calls who does it."""
