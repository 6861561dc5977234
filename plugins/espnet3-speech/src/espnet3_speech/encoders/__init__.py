"""Features to hidden vectors: Transformer, Conformer, E-Branchformer, fast Conformer and RNN."""
