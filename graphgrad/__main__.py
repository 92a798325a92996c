"""`python -m graphgrad`."""

import sys

from graphgrad.cli.running import main

sys.exit(main())
