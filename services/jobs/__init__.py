"""The jobs service, which queues work that takes minutes, and the workers that carry it out."""
