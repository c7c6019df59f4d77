"""For every test."""

import signal

# Under nohup, and some runners, processes ignore it and so do their children: a terminal that hangs up ends nothing there.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
