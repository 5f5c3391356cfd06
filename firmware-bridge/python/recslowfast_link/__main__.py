import sys

from .monitor import main

sys.exit(main())
