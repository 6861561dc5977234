"""speech plugin of espnet3."""
