//! Whether the collected files of a target branch still are what was merged.

use std::fs;

use sha2::{Digest, Sha256};

use crate::evidence::GitFile;
use crate::run::Run;

/// Whether a content has the SHA-256 that was recorded when it was collected.
pub(crate) fn is_what_was_merged(content: &[u8], file: &GitFile) -> bool {
    let sum = Sha256::digest(content);
    let text: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    text == file.sha256
}

/// Collected files that are not what was merged any more, with their rigs. One that is gone is another finding's.
pub(crate) fn changed(run: &Run) -> Vec<(&str, &str)> {
    let regular = |file: &&GitFile| file.mode.starts_with("100") && file.not_kept.is_none() && !file.sha256.is_empty();
    let of_rig = run.rigs.rows.iter().flat_map(|git| git.files.iter().filter(regular).map(|file| (git.rig.as_str(), file)));
    let differs = |(rig, file): &(&str, &GitFile)| {
        fs::read(run.tree_file(rig, &file.path)).is_ok_and(|content| !is_what_was_merged(&content, file))
    };
    of_rig.filter(differs).map(|(rig, file)| (rig, file.path.as_str())).collect()
}
