//! The external shuffle service daemon.
