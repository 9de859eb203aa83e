//! Load generator and fixtures for measuring the daemon beside the Java service.
