//! Proctor's town.
