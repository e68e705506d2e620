"""Pure pieces of HTTP that policies share: structured fields, message signatures, digests."""
