//! Proctor's harness.
