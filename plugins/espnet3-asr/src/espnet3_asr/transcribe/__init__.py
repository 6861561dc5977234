"""The verb ``espnet3 asr``: from audio files to text and subtitles."""
