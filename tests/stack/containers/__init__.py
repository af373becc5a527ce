"""What is tried of both stacks on a real engine: `make test-compose`, and by no other test run."""
