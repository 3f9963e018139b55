"""`python -m ablate.timm SCRIPT …`: run a timm script with the models of ablate (see `ablate.zoo.scripts`)."""

import sys

from ablate.zoo.scripts import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
