"""What one write or ioctl does to a Host, as far as no model decides it: binding, claims, hot-plug."""
