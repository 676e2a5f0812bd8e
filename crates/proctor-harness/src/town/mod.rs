//! The seam to a town under test: prepare, start, deliver, observe, tend, quiet, stop, collect, end.
//!
//! A town is processes, files and ports. What differs between towns stays behind [`Town`]; landed, checks and verdict are the same for all.

pub mod builtin;
pub mod gastown;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use proctor_judge::evidence::{AgentRow, Bead, Convoy, Leftover, Mail, MergeRequest, Session, SkippedRow, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{Base, file_url};
use crate::cycle::Clock;
use crate::halt::Halt;
use crate::keeper::Keeper;
use crate::landed::git::Git;
use crate::namespace::Namespace;
use crate::scenario::spec::Rig;
use crate::scenario::{Files, Spec};
use crate::untrusted;

/// The towns that can be tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TownKind {
    /// The town that ships with Proctor.
    #[default]
    Builtin,
    /// The real Gas Town: `gt`, `bd`, `dolt` and `tmux`, found on the machine.
    Gastown,
}

impl TownKind {
    /// Whether each of its agents has a home and a worktree of its own, which no other agent needs to reach.
    pub fn has_private_agents(self) -> bool {
        self == Self::Builtin
    }

    /// As evidence, flags and scripts name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Gastown => "gastown",
        }
    }
}

/// Where and for what a town is made.
#[derive(Clone)]
pub struct Site {
    /// The run's base directory; whatever the town makes outside it is entered in its registry first.
    pub base: Arc<Base>,
    /// The run's short id.
    pub id: String,
    /// Seed of the town's ids, where a town has one.
    pub seed: u64,
    /// Proctor's own git.
    pub git: Git,
    /// Base address of the served origins; absent where they are folders.
    pub origins: Option<String>,
    /// What the tokens of the run's agents are made with.
    pub secret: String,
    /// The scenario.
    pub spec: Arc<Spec>,
    /// Its files.
    pub files: Files,
    /// The running executable, which plays the agents.
    pub proctor: PathBuf,
    /// The root of a town that is there already and is attached to instead of making one.
    pub live_town: Option<PathBuf>,
    /// Which processes the town shares with others.
    pub namespace: Namespace,
    /// The environment of the user: it finds programs, and nothing of it reaches the town.
    pub user: BTreeMap<String, String>,
    /// Proctor's folder in the user's cache.
    pub cache: PathBuf,
    /// Folder for what the town says of itself: `evidence/raw`.
    pub raw: PathBuf,
    /// Through which files that grow there are written.
    pub ledger: crate::ledger::Ledger,
    /// The time of day.
    pub clock: Clock,
}

impl Site {
    /// The root of the town.
    pub fn town(&self) -> PathBuf {
        self.base.path("town")
    }

    /// The address below which the town finds `/<rig>.git`.
    pub fn origins_url(&self) -> String {
        self.origins.clone().unwrap_or_else(|| file_url(&self.base.path("origins")))
    }

    /// Makes a rig's origin with a first commit. The arguments of the `gt` call that adds the rig.
    ///
    /// # Errors
    /// When git fails.
    async fn seed_rig(&self, rig: &Rig) -> Result<Vec<String>, Halt> {
        let origin = self.base.path(&format!("origins/{}.git", rig.name));
        let files = rig.files.iter().flat_map(|folder| self.files.below(folder.trim_end_matches('/')));
        let files: Vec<(String, Vec<u8>)> = files.map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect();
        self.git.seed_origin(&origin, &rig.name, &files).await?;
        let url = format!("{}/{}.git", self.origins_url(), rig.name);
        let mut args = vec!["rig".to_owned(), "add".to_owned(), rig.name.clone(), url];
        args.extend(rig.prefix.iter().flat_map(|prefix| ["--prefix".to_owned(), prefix.clone()]));
        Ok(args)
    }
}

/// A town of that kind, not yet made.
///
/// # Errors
/// When the machine lacks a program that the town consists of.
pub async fn found(kind: TownKind, site: Site) -> Result<Box<dyn Town>, Halt> {
    match kind {
        TownKind::Builtin => Ok(Box::new(builtin::Builtin::new(site))),
        TownKind::Gastown => match site.live_town.clone() {
            Some(path) => Ok(Box::new(gastown::LiveTown::new(site, &path).await?)),
            None => Ok(Box::new(gastown::Gastown::new(site).await?)),
        },
    }
}

/// One consistent read of a town's state, in neutral rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Work items.
    pub beads: Vec<Bead>,
    /// Convoys.
    pub convoys: Vec<Convoy>,
    /// Messages.
    pub mail: Vec<Mail>,
    /// Submissions to merge queues.
    pub merge_requests: Vec<MergeRequest>,
    /// Agents.
    pub agents: Vec<AgentRow>,
    /// Process lives of agents.
    pub sessions: Vec<Session>,
    /// Processes that agents left behind and that the town itself ended.
    #[serde(default)]
    pub leftovers: Vec<Leftover>,
}

/// Something that the town says happened. A hint: what is true is read from the state and from git.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TownEvent {
    /// When.
    pub ts: Time,
    /// `sling`, `mail`, `session_start`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Who did it.
    #[serde(default)]
    pub actor: String,
    /// The values of the event.
    #[serde(default)]
    pub payload: BTreeMap<String, Value>,
}

/// How fast a town is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tempo {
    /// How often the state is read while nothing tells of a change.
    pub poll: Duration,
    /// How long after a sign of a change the state is read: towns write before what they wrote can be read.
    pub settle: Duration,
    /// How often agents are asked whether they rest, once everything has landed.
    pub rest: Duration,
    /// Failed reads in a row after which the town counts as broken.
    pub blind: u32,
    /// The least that a scenario's limits are raised to: until the coordinator listens,
    pub start: Duration,
    /// until it has the prompt,
    pub receipt: Duration,
    /// and until everything rests after landing.
    pub quiet: Duration,
}

/// A program that took part: its path and version.
pub type Program = (String, String);

/// A town under test.
#[async_trait]
pub trait Town: Send + Sync {
    /// The roles that it starts agents for.
    fn roles(&self) -> &'static [&'static str] {
        &["mayor", "polecat"]
    }

    /// Whether the town may start by itself an agent that has ended: then one that is dead need not stay so.
    fn starts_agents_anew(&self) -> bool {
        true
    }

    /// How fast it is.
    fn tempo(&self) -> Tempo;

    /// The programs that it consists of, by name.
    fn programs(&self) -> BTreeMap<String, Program>;

    /// The environment of everything in it, as fixed so far.
    fn environment(&self) -> BTreeMap<String, String>;

    /// From now on this keeper starts everything of the town.
    fn enter(&self, _keeper: Keeper) {}

    /// The ports that its own servers listen on.
    fn ports(&self) -> Vec<u16> {
        Vec::new()
    }

    /// Adds to the environment of everything that the town starts from now on. Called in phase 3, before the town starts.
    fn add_environment(&self, more: BTreeMap<String, String>);

    /// Makes the town with its configuration; starts no agent. What the phase's report states.
    async fn prepare(&self) -> Result<Vec<(String, String)>, Halt>;

    /// Starts the coordinator and returns when it listens.
    async fn start(&self, limit: Duration) -> Result<(), Halt>;

    /// Hands a text to the coordinator. `again` counts how often that was done before without anything showing that it was
    /// received, which is proven elsewhere.
    async fn deliver(&self, text: &str, again: u32) -> Result<(), Halt>;

    /// What the coordinator's terminal shows, where it can be seen.
    async fn screen(&self) -> Option<String>;

    /// Types a text as [`Town::deliver`] does, but such that it does not reach the coordinator: a planned fault.
    async fn lose(&self, _text: &str, _again: u32) -> Result<(), Halt> {
        Ok(())
    }

    /// The names of the servers that the town consists of, which planned faults can hit.
    fn servers(&self) -> &'static [&'static str] {
        &[]
    }

    /// The process of one of [`Town::servers`]; absent when it does not run.
    fn server(&self, _program: &str) -> Option<u32> {
        None
    }

    /// Starts servers again that a planned fault killed and without which the end state cannot be read. Called when everything
    /// that acts has been ended.
    async fn mend(&self) -> Result<(), Halt> {
        Ok(())
    }

    /// Reads the town's state.
    async fn observe(&self) -> Result<Arc<Snapshot>, Halt>;

    /// Begins, in the background, what a town of this kind leaves to whoever runs it and this state asks for.
    ///
    /// # Errors
    /// What was found since the last call and ends the run.
    fn tend(&self, _state: &Snapshot) -> Result<(), Halt> {
        Ok(())
    }

    /// The file that grows when something happens in the town.
    fn events_file(&self) -> PathBuf;

    /// The files, and the folders of files, that are written when the town's state changes, as far as they are there.
    fn tells(&self) -> Vec<PathBuf> {
        vec![self.events_file()]
    }

    /// What that file got since `offset`, which moves on.
    fn new_events(&self, offset: &mut u64) -> Vec<TownEvent> {
        new_events(&self.events_file(), offset)
    }

    /// The repository in the town where a rig's work is merged before it is pushed; absent when there is none (yet).
    fn merge_repository(&self, rig: &str) -> Option<PathBuf>;

    /// Whether every agent has come to rest in this state.
    async fn quiet(&self, state: &Snapshot) -> bool;

    /// Ends everything that acts in the town; its state can still be read.
    async fn stop(&self) -> Result<(), Halt>;

    /// What reading the town's state has cost so far, for people; absent where that is not measured.
    async fn reading_cost(&self) -> Option<String> {
        None
    }

    /// Copies what the town said of itself to the site's `raw` and what its sessions printed to `transcripts`, and says what was left
    /// out: agents can write where it lies.
    async fn collect(&self, transcripts: &Path) -> Result<Vec<SkippedRow>, Halt>;

    /// Ends what [`Town::stop`] left for reading. Afterwards no process of the town is there.
    async fn end(&self) -> Result<(), Halt> {
        Ok(())
    }
}

/// Bytes of a file of events that are read at one look; a longer line than that is none.
const EVENTS_AT_ONCE: u64 = 16 << 20;

/// The complete lines that a growing file of events got since `offset`, which moves on. Lines of another form are passed over. Agents of
/// a real town can write the file, and put anything in its place.
pub fn new_events(file: &Path, offset: &mut u64) -> Vec<TownEvent> {
    let bytes = read_since(file, *offset).unwrap_or_default();
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map(|end| end + 1);
    let is_endless = bytes.len() as u64 == EVENTS_AT_ONCE;
    let whole = &bytes[..end.unwrap_or(if is_endless { bytes.len() } else { 0 })];
    *offset += whole.len() as u64;
    whole.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn read_since(file: &Path, offset: u64) -> Option<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    // Most looks find nothing new.
    if std::fs::symlink_metadata(file).ok()?.len() <= offset {
        return None;
    }
    let (mut file, _) = untrusted::open(file.parent()?, Path::new(file.file_name()?)).ok()?;
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut bytes = Vec::new();
    file.take(EVENTS_AT_ONCE).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A repository of a rig inside a town of Gas Town's layout.
fn repository_of(town: &Path, rig: &str) -> Option<PathBuf> {
    let places = [".repo.git", "mayor/rig/.git", "refinery/rig/.git"];
    places.iter().map(|place| town.join(rig).join(place)).find(|place| place.is_dir())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const EVENT: &str = "{\"ts\":\"2026-01-02T03:04:05Z\",\"type\":\"done\",\"actor\":\"alice/nux\"}\n";

    #[test]
    fn events_are_read_as_they_come_and_a_line_that_is_none_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events");
        let mut offset = 0;
        assert!(new_events(&file, &mut offset).is_empty(), "there is no file yet");
        std::fs::write(&file, format!("{EVENT}\u{1} no event\n{EVENT}{}", &EVENT[..9])).unwrap();
        assert_eq!(new_events(&file, &mut offset).len(), 2);
        std::fs::write(&file, format!("{EVENT}\u{1} no event\n{EVENT}{EVENT}")).unwrap();
        assert_eq!(new_events(&file, &mut offset).len(), 1);
    }

    #[test]
    fn nothing_that_an_agent_puts_in_the_place_of_the_events_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (fifo, link) = (folder.path().join("fifo"), folder.path().join("link"));
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        std::fs::write(folder.path().join("elsewhere"), EVENT).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
        for odd in [fifo, link, folder.path().to_owned()] {
            assert!(new_events(&odd, &mut 0).is_empty(), "{}", odd.display());
        }
    }

    #[test]
    fn a_line_without_end_is_no_event_and_hides_none_that_follow() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events");
        std::fs::File::create(&file).unwrap().set_len(2 * EVENTS_AT_ONCE).unwrap();
        std::io::Write::write_all(
            &mut std::fs::File::options().append(true).open(&file).unwrap(),
            format!("\n{EVENT}").as_bytes(),
        )
        .unwrap();
        let mut offset = 0;
        let seen: usize = (0..3).map(|_| new_events(&file, &mut offset).len()).sum();
        assert_eq!(seen, 1);
    }
}
