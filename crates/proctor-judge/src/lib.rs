//! The judge: reads what a run left on disk and says in one verdict, with evidence, what happened.
//!
//! It runs nothing, opens no socket and reads no clock: a verdict is a pure function of the evidence.

pub mod evidence;
pub mod plan;
