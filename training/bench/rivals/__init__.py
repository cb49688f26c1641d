"""What runs in an environment of its own: public libraries whose pins clash with ours."""
