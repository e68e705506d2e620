"""Ours beside Envoy, HAProxy and nginx on one core each: run it with ``make bench``."""
