"""A catalogue in parts: built apart, searched side by side, merged exactly.

Only ``ray_tasks`` knows Ray; everything else runs in any process.
"""
