"""What runs the app: uvicorn in this process, or Ray Serve."""
