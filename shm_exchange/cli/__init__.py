"""The command line `shm-exchange`.

    main           the program: commands, errors, exit codes
    screen         where things are said: figures, tables, progress, JSON
    configuration  an exchange from a TOML file and flags
    run            run an exchange in the foreground
    look           list, status
    top            watch one: a screen, or one plain picture
    end            stop, clean
    warm           fill the kernel cache
    demo           a whole market: simulation starts and checks it, demo_screen shows it

Modules import what is heavy (numba, numpy, the client) inside their commands, so that help and errors come at once.
"""
