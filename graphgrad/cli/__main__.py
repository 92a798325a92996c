"""`python -m graphgrad.cli`."""

import sys

from graphgrad.cli.running import main

sys.exit(main())
