"""Run the command line with `python -m exovision`."""

from exovision.cli import main

if __name__ == "__main__":
    main()
