"""The effects of a write or ioctl on a Host that do not depend on the model: binding, claims, hot-plug."""
