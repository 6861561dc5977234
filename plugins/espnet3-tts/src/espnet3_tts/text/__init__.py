"""Text frontends: text to tokens that a synthesiser speaks."""
