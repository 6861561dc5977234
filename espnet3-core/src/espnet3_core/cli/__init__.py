"""The command ``espnet3``: one module per verb, imported only when that verb is used."""
