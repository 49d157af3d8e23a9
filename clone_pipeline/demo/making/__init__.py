"""How the demo bundle was made: texts, embeddings and the resources around them."""
