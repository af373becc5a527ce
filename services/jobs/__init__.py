"""The jobs service: work that takes minutes, and the workers that do it."""
