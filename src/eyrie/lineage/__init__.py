"""What made an output, and whether it is still what would be made now."""
