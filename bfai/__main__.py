"""`python -m bfai`."""

from bfai.cli import main

if __name__ == "__main__":
    main()
