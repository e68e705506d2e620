"""What ``make demo`` protects and asks: a demo orders API and a demo OpenID provider."""
