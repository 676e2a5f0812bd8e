//! Proctor's store.
