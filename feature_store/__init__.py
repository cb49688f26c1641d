"""The features of users and items: definitions, ingest, and the offline and online views."""
