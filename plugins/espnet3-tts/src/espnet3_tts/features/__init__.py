"""Audio to what a synthesiser predicts: log-mel spectrogram, energy, fundamental frequency."""
