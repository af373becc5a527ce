"""The gateway, through HTTP and beside the judges of its parts."""
