"""`python -m petsearch` is the command `petsearch`."""

from petsearch.cli.main import main

if __name__ == "__main__":
    main()
