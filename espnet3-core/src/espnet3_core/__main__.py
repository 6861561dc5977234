"""``python -m espnet3_core`` is the command ``espnet3``."""

import sys

from espnet3_core.cli.main import main

sys.exit(main())
