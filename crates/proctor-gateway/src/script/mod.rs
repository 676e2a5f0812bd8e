//! Scripts: how a model of each role is played. The format is stated in `docs/seams.md`.
//!
//! A script is loaded whole and checked whole; what is left to go wrong at run time is a text that no rule matches.

mod load;
mod problem;
mod read;
mod template;
mod world;

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;

use crate::agent::Agent;

pub use problem::ScriptProblem;
pub(crate) use template::fill;
pub use world::{Merge, Town, World};

/// The scripts of a folder, checked.
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    world: World,
    scripts: Vec<Script>,
}

/// One file: how one role is played.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) file: String,
    pub(crate) role: String,
    pub(crate) rig: Option<String>,
    pub(crate) turns: Vec<Turn>,
}

/// What answers one user text.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// Its place among the turns of its file, from 1.
    pub(crate) number: usize,
    /// The texts it answers; its named groups are captures. Absent: any text.
    pub(crate) on: Option<Regex>,
    pub(crate) steps: Vec<Step>,
}

/// What answers after as many tool results as there are steps before it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Its place among the steps of its turn in the file, from 1.
    pub(crate) number: usize,
    pub(crate) say: Option<String>,
    /// The shell command, with what `write` adds to it; absent: the turn ends here.
    pub(crate) command: Option<String>,
    pub(crate) timeout_s: Option<u64>,
    pub(crate) captures: Vec<(String, Regex)>,
    pub(crate) need: Option<Regex>,
}

impl Scripts {
    /// Reads a script folder: `*.toml` at its top are scripts, every other file can be named by `write`. Scripts, turns
    /// and steps that are not for this world are as if they were not there.
    ///
    /// # Errors
    /// Every problem of every script at once, in the order of files and lines.
    pub fn load(dir: &Path, world: World) -> Result<Self, Vec<ScriptProblem>> {
        let files = load::read_folder(dir).map_err(|problem| vec![problem])?;
        Self::from_files(&files, world)
    }

    /// The same from memory: path relative to the script folder (with `/`) to content.
    ///
    /// # Errors
    /// As [`Scripts::load`].
    pub fn from_files(files: &BTreeMap<String, Vec<u8>>, world: World) -> Result<Self, Vec<ScriptProblem>> {
        load::scripts(files, world).map(|scripts| Self { world, scripts })
    }

    /// Where the scripts are played.
    #[must_use]
    pub fn world(&self) -> World {
        self.world
    }

    /// The roles that are played, each with the rig its script is for.
    pub fn roles(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.scripts.iter().map(|script| (script.role.as_str(), script.rig.as_deref()))
    }

    /// The script that plays this agent: one for its rig before one for any rig.
    pub(crate) fn for_agent(&self, agent: &Agent) -> Option<&Script> {
        let of_role = || self.scripts.iter().filter(|script| script.role == agent.role);
        of_role()
            .find(|script| script.rig.is_some() && script.rig == agent.rig)
            .or_else(|| of_role().find(|script| script.rig.is_none()))
    }
}
