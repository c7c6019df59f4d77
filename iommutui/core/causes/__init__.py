"""What explains an error message on a Host: causes, one function for each message."""
