"""Search and build with everything resident on a torch device; torch is imported nowhere else here."""
