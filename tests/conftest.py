"""For every test."""

import signal

# Signals that nohup, a shell or a runner ignores are ignored by processes and their children too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
