"""Where photos of a job come from when the server reads them itself."""
