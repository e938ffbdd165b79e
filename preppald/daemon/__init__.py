"""The process: wiring, nurseries, signals, systemd, the operator's port."""
