//! The real Gas Town: `gt`, `bd` and `dolt`, installed fresh for every run.
//!
//! Nothing of a user's own town is touched: everything lies below the run's base directory, but for the few files that the programs
//! put into `/tmp` under the town's own port and socket, which are entered in the registry before they can appear.

mod calls;
mod collect;
mod events;
mod live;
mod mayor;
mod pieces;
pub mod ports;
mod probe;
mod process_names;
pub mod programs;
pub mod settings;
pub mod state;
mod stop;
mod tend;
mod tmux;
mod town;
pub mod workarounds;

pub use live::LiveTown;
pub use town::Gastown;
