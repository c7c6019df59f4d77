"""For every test."""

import signal

from hypothesis import HealthCheck, settings

# Signals that nohup, a shell or a runner ignores are ignored by processes and their children too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# A property is a property on a slow machine too, and no test fails for the time that it took.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
