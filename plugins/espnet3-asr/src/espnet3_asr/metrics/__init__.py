"""Error rates of recognition: words, characters, tokens."""
