"""What the user wrote: checked, frozen, with its place in the file."""
