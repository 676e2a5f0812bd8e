//! Whether programs that fit by their versions really work together, asked of the fresh town itself.
//!
//! A `bd` that cannot find another rig's issue lets everything look well until no convoy ever closes. Asking needs an issue in a rig.
//! The mayor makes the rigs, so that the first issue that appears in one is asked for: nothing has to be made, and removed again,
//! that would stand in the evidence.

use std::path::Path;

use serde_json::Value;

use super::calls::Calls;
use crate::halt::Halt;

/// The town's own prefix.
const TOWN_PREFIX: &str = "hq";

/// Asks the installed town for its prefix.
///
/// # Errors
/// An error of the environment: these programs do not make a town together.
pub(super) async fn town(calls: &Calls) -> Result<(), Halt> {
    let said = calls.run(calls.program("bd", &["config", "get", "issue_prefix"])).await?;
    if said.ok() && said.out().trim() == TOWN_PREFIX {
        return Ok(());
    }
    let shown = format!("`bd config get issue_prefix` says `{}` instead of `{TOWN_PREFIX}`", one_of(&said));
    Err(do_not_fit(&shown))
}

/// Asks for an issue of a rig from the town's root, and for the rig's prefix.
///
/// # Errors
/// As for [`town`].
pub(super) async fn rig(calls: &Calls, town: &Path, rig: &str, issue: &str) -> Result<(), Halt> {
    let said = calls.run(calls.program("bd", &["show", issue, "--json"])).await?;
    if !said.ok() || !said.out().contains(issue) {
        return Err(do_not_fit(&format!(
            "`bd show {issue}` in the town's root does not find an issue of the rig {rig}: {}",
            one_of(&said)
        )));
    }
    let said = calls.run(calls.program("bd", &["config", "get", "issue_prefix"]).cwd(town.join(rig))).await?;
    let prefix = issue.split('-').next().unwrap_or_default();
    if said.ok() && said.out().trim() == prefix {
        return Ok(());
    }
    Err(do_not_fit(&format!("`bd config get issue_prefix` in the rig {rig} says `{}` instead of `{prefix}`", one_of(&said))))
}

fn one_of(ended: &crate::process::Ended) -> String {
    let out = ended.out().trim().to_owned();
    if out.is_empty() { ended.said() } else { out }
}

fn do_not_fit(shown: &str) -> Halt {
    Halt::environment(format!("gt and bd do not work together: {shown}"))
        .hint("bd 0.57.0 to 0.62.0 work; `proctor doctor --town gastown` shows what was found")
}

/// The socket that `gt status --json` states.
pub(super) fn socket(status: &str) -> String {
    let value: Value = serde_json::from_str(status).unwrap_or_default();
    value["tmux"]["socket_path"].as_str().unwrap_or("nothing").to_owned()
}
