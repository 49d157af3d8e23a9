"""The vector store: a small port, the embedded Qdrant and the Qdrant server behind it."""
