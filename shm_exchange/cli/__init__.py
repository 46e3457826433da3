"""The command line `shm-exchange`.

    main           the program: commands, errors, exit codes
    screen         where things are said: figures, tables, progress, JSON
    configuration  an exchange from a TOML file and flags
    run            run an exchange in the foreground
    look           list, status
    spawn          gateway processes with a flow or a function; spawn_screen shows them
    end            stop
    clean          what nobody uses any more
    doctor         can this machine run an exchange, and how well
    top            watch one: a screen, or one plain picture
    warm           fill the kernel cache
    demo           a whole market: simulation starts and checks it, demo_screen shows it

Modules import what is heavy (numba, numpy, the client) inside their commands, so that help and errors come at once.
"""
