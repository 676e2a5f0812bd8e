//! What stood on an agent's terminal: a dialog that waits or a refusal to start is seen there and nowhere else.

use crate::run::Run;
use crate::screen;
use crate::summary::Finding;
use crate::wording::at_path;

/// Lines that a finding shows; all of them are a link away.
const SHOWN: usize = 12;

/// The finding with the last lines of the agent's terminal, and where all of it lies.
pub(super) fn of(run: &Run, agent: &str, finding: Finding) -> Finding {
    let Some(at) = screen::transcript(run, agent) else { return finding };
    if run.seal.change(&at).is_some() {
        return finding;
    }
    let lines = screen::last_lines(&run.dir.join(&at), SHOWN);
    let shown = if lines.is_empty() { "nothing stands on it".to_owned() } else { format!("{}\n", lines.join("\n")) };
    finding.detail("terminal", shown).at(at_path(at))
}
