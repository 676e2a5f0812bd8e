//! One fresh town of the real programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;

use super::programs;
use crate::base::town_environment;
use crate::halt::Halt;
use crate::town::{Program, Site, Snapshot, Tempo, Town};

/// The real town of one run.
pub struct Gastown {
    site: Site,
    env: RwLock<BTreeMap<String, String>>,
    programs: BTreeMap<String, Program>,
}

impl Gastown {
    /// A town of that site, not yet made.
    ///
    /// # Errors
    /// When a program is missing, or has a version that does not work with the others.
    pub async fn new(site: Site) -> Result<Self, Halt> {
        let found = programs::find(&site.user, &site.base.path("home")).await?;
        programs::accept(&programs::judge(&found))?;
        let programs =
            found.into_iter().filter_map(|f| Some((f.name.clone(), (f.path?.display().to_string(), f.said)))).collect();
        let env = RwLock::new(town_environment(site.base.root(), &site.id, site.seed));
        Ok(Self { site, env, programs })
    }
}

#[async_trait]
impl Town for Gastown {
    fn name(&self) -> &'static str {
        "gastown"
    }

    fn tempo(&self) -> Tempo {
        let s = Duration::from_secs;
        Tempo { poll: Duration::from_millis(150), start: s(120), receipt: s(120), quiet: s(60) }
    }

    fn programs(&self) -> BTreeMap<String, Program> {
        self.programs.clone()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        self.env.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add_environment(&self, more: BTreeMap<String, String>) {
        self.env.write().unwrap_or_else(PoisonError::into_inner).extend(more);
    }

    async fn prepare(&self) -> Result<Vec<(String, String)>, Halt> {
        Err(Halt::harness("not there yet"))
    }

    async fn start(&self, _limit: Duration) -> Result<(), Halt> {
        Ok(())
    }

    async fn deliver(&self, _text: &str, _again: u32) -> Result<(), Halt> {
        Ok(())
    }

    async fn screen(&self) -> Option<String> {
        None
    }

    async fn observe(&self) -> Result<Snapshot, Halt> {
        Ok(Snapshot::default())
    }

    fn events_file(&self) -> PathBuf {
        self.site.town().join(".events.jsonl")
    }

    fn merge_repository(&self, rig: &str) -> Option<PathBuf> {
        crate::town::repository_of(&self.site.town(), rig)
    }

    fn quiet(&self, state: &Snapshot) -> bool {
        state.agents.iter().all(|agent| agent.state != "working")
    }

    async fn stop(&self) -> Result<(), Halt> {
        Ok(())
    }

    async fn collect(&self, _transcripts: &Path) -> Result<(), Halt> {
        Ok(())
    }
}
