"""Domain-free helpers. They know neither the REST framework nor the task queue."""
