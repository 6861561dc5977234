"""Arguments of ``espnet3 tts``; imports nothing heavy."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the verb's parser."""
    parser.epilog = 'example: espnet3 tts "Hello there." -o hello.wav --model exp/training/bundle --speed 1.1'
    parser.add_argument(
        "text",
        nargs="?",
        metavar="TEXT | -",
        help="what to say; - or nothing reads it from standard input",
    )
    parser.add_argument(
        "--file",
        metavar="FILE",
        help="speak each line of a file; with a tab in it, a line is a name and a text. Needs a folder as -o",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE.wav | DIR",
        help="16-bit wav file; with --file a folder, which gets a wav file for each line",
    )
    parser.add_argument(
        "--model",
        metavar="BUNDLE",
        help="folder of a packed model (default: $ESPNET3_TTS_MODEL, else the only exp/*/bundle here)",
    )
    parser.add_argument(
        "--vocoder",
        metavar="BUNDLE",
        help="folder of a packed tts/hifigan to speak with (default: as the model was packed)",
    )
    parser.add_argument("--speaker", metavar="NAME", help="who speaks, where the model has several speakers")
    parser.add_argument("--speed", type=float, metavar="X", help="rate of speech: 2 is twice as fast")
    parser.add_argument("--pitch", type=float, metavar="X", help="factor on the fundamental frequency")
    parser.add_argument("--energy", type=float, metavar="X", help="factor on the amplitude of tokens")
    parser.add_argument("--steps", type=int, metavar="N", help="steps of the model's solver (tts/matcha)")
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="X",
        help="factor on the noise that becomes speech (tts/matcha, tts/vits)",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of whatever the model or vocoder draws")
    parser.add_argument(
        "--unknown",
        choices=("skip", "spell", "stop"),
        help="characters that cannot be spoken: leave out, spell, or stop (default: as the model was packed)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1 (default: auto)")
