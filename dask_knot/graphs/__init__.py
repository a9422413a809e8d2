"""From what a client sends to tasks that can be planned: graphs, annotations, large constants."""
