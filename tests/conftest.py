"""For every test."""

import signal

# What nohup, a shell's background or a runner ignores, processes and their children ignore as well.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
