"""What one write or ioctl does to a Host, where that does not depend on the model: binding, claims, hot-plug."""
