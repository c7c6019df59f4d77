"""Settings for every test."""

import signal

from hypothesis import HealthCheck, settings

# A process started with signals ignored, by nohup, a shell or a runner, ignores them too, and so do its children.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# A property also holds on a slow machine, so no test fails for the time it took.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
