"""What containers do besides serving: make what others need, and write down what they were told before they start."""
