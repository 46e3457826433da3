"""`python -m shm_exchange`: the command line, for where the script is not on PATH."""

from shm_exchange.cli.main import main

if __name__ == "__main__":
    main()
