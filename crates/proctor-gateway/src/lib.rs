//! Proctor's gateway.
