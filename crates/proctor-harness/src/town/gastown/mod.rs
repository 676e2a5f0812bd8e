//! The real Gas Town: `gt`, `bd` and `dolt`, installed fresh for every run.

pub mod programs;
pub mod state;
mod town;

pub use town::Gastown;
