//! Client of the shuffle daemon.
