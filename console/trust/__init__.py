"""People and signatures: roster chain, signed documents, manifests; signing in its own process."""
