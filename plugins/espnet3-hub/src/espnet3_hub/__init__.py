"""The Hugging Face Hub: publishers of models and Spaces, and bundles by ``hf://`` address."""
