"""Memory: the vector store, the embedder beside it, and the service that knows who asks."""
