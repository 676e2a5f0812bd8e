//! The real Gas Town: `gt`, `bd` and `dolt`, installed fresh for every run.

pub mod state;
