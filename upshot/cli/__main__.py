"""`python -m upshot.cli` is the command `upshot`."""

from upshot.cli import main

if __name__ == "__main__":
    main()
