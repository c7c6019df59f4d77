"""For every test."""

import signal

from hypothesis import HealthCheck, settings

# What nohup, a shell's background or a runner ignores, processes and their children ignore as well.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# A property is a property on a slow machine too, and no test fails for the time that it took.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
