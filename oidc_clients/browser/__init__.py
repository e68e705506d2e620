"""Browser sign-in: a person signs in at a provider, the token stays here, a cookie goes there."""
