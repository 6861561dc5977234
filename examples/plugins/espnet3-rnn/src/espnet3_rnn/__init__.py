"""A recurrent CTC recogniser, as an example of a plugin."""
