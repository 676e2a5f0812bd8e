//! Which files of the evidence a check depends on. One that is not what was sealed makes the check unknown.

use crate::evidence::path;
use crate::plan::CheckKind;
use crate::run::Run;
use crate::seal::Change;

/// The store's journal; its segments are copies for other tools, which no check reads.
const JOURNAL: &str = "telemetry/journal.bin";

/// The first file that a check of this kind depends on and that is not what was sealed.
pub(super) fn damaged<'a>(run: &'a Run, kind: &CheckKind) -> Option<&'a Change> {
    let changed = |name: &str| run.seal.change(&format!("evidence/{name}"));
    files(kind).iter().find_map(|name| changed(name)).or_else(|| below(run, kind))
}

fn files(kind: &CheckKind) -> &'static [&'static str] {
    match kind {
        CheckKind::File(_) => &[path::GIT_RIGS],
        CheckKind::Exercise(_) => &[path::RUNTIME],
        CheckKind::Mail(_) => &[path::MAIL, path::BEADS, path::CONVOYS, path::SESSIONS, path::DELIVERIES],
        CheckKind::Workers(_) => &[path::SESSIONS, path::AGENTS],
        CheckKind::EndState {} => {
            &[path::BEADS, path::CONVOYS, path::MERGE_REQUESTS, path::SESSIONS, path::AGENTS, path::DELIVERIES]
        }
        CheckKind::OwnRepository {} => {
            &[path::PUSHES, path::GIT_RIGS, path::SESSIONS, path::AGENTS, path::DELIVERIES, path::BEADS]
        }
        CheckKind::NoErrors(_) | CheckKind::Promql(_) | CheckKind::Logsql(_) => &[JOURNAL],
        CheckKind::Telemetry {} => &[JOURNAL, path::EXCHANGES, path::AGENTS, path::SESSIONS],
        CheckKind::Budget(_) => &[JOURNAL, path::EXCHANGES, path::SESSIONS, path::AGENTS],
    }
}

/// What depends on the check's own words: one exercise's folder, one file of a tree, a record of git's.
fn below<'a>(run: &'a Run, kind: &CheckKind) -> Option<&'a Change> {
    match kind {
        CheckKind::Exercise(check) => {
            let folder = format!("evidence/{}/{}", path::EXERCISE, check.exercise.replace('/', "+"));
            run.seal.change_below(&folder).or_else(|| run.seal.change(&folder)).or_else(|| {
                // The folder of all exercises was replaced.
                run.seal.change(&format!("evidence/{}", path::EXERCISE))
            })
        }
        CheckKind::File(check) => {
            let git = format!("evidence/{}", path::GIT);
            let tree = format!("{git}/{}/tree", check.rig);
            let file = crate::seal::sealed_path(std::path::Path::new(&format!("{tree}/{}", check.path)));
            run.seal.change(&file).or_else(|| run.seal.change(&tree)).or_else(|| run.seal.change(&git))
        }
        CheckKind::OwnRepository {} => run.seal.change(&format!("evidence/{}/pushes.ndjson", path::GIT)),
        _ => None,
    }
}
