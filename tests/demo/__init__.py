"""The demo: a real Spark job that loses all of its executors, with and without our daemon.

    cd tests && python3 -m demo DAEMON_BINARY

`__main__` is the play, `job` the Spark program with its `rows`, `run` one run of it and what was
seen, `report` what is said at the end, `chart` and `screen` how it is shown.
"""
