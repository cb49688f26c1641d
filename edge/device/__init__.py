"""What runs on a device: it imports none of the cluster's libraries."""
