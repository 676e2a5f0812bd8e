//! Proctor's agent.
