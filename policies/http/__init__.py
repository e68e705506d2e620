"""Pure pieces of HTTP that policies share."""
