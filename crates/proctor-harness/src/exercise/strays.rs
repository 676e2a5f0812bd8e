//! Processes that a step left behind where nothing holds them together: found by where they stand, and ended.

use std::path::Path;
use std::time::Duration;

use crate::clean;
use crate::linux::{self, Process, Variables};

/// How often what was left is looked for: who is ended may have started another meanwhile.
const ROUNDS: u32 = 20;

/// Ends what a step left behind, and says which command lines it had. A process is the step's when it began after it and has its `HOME` or
/// stands in the exercise's folder; one that changed both is found at the run's end.
pub(super) fn end(root: &Path, since: f64) -> Vec<String> {
    let mut ended = Vec::new();
    for _ in 0..ROUNDS {
        let found: Vec<Process> = linux::processes().into_iter().filter(|process| is_of(process, root, since)).collect();
        if found.is_empty() {
            break;
        }
        for process in &found {
            let command = linux::command_line(process.pid);
            ended.push(if command.is_empty() { process.name.clone() } else { command });
        }
        clean::end_all(&found.iter().map(|process| process.pid).collect::<Vec<_>>(), Duration::ZERO);
    }
    ended
}

fn is_of(process: &Process, root: &Path, since: f64) -> bool {
    let now = linux::uptime();
    // Two ticks are added, since the kernel rounds down.
    process.age_at(now) <= now - since + 0.02
        && process.state != 'Z'
        && (linux::working_directory(process.pid).is_some_and(|cwd| cwd.starts_with(root))
            || Variables::of(process.pid).get("HOME").is_some_and(|home| Path::new(home).starts_with(root)))
}
