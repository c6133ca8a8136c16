"""did:key identities, rosters, DSSE."""
