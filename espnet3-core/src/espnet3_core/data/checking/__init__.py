"""``espnet3 data check``: what is wrong with the utterances of a recipe, all of it at once."""
