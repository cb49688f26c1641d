"""i-Razor: which fields a ranker needs and how wide, found in one pass; and its rivals."""
