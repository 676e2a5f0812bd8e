//! `[runtime]` and `[[exercise]]`: what is run on what was merged, and what it needs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Span, Spec};

/// What the deliverables need to run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// The kind of runtime that is provided.
    #[serde(default)]
    pub kind: RuntimeKind,
    /// Requirements in the runtime's own notation: `cryptography>=42.0`.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Programs besides, which are looked for on the user's `PATH`: `node`, `sh`.
    #[serde(default)]
    pub programs: Vec<String>,
}

/// Kinds of runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeKind {
    /// Python 3 in a virtual environment.
    #[default]
    Python,
}

/// Something that is run on what was merged.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exercise {
    /// Its name, dotted: `bob.signature_bit`.
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// The exercise whose files it starts with; one listed before.
    #[serde(default)]
    pub after: Option<String>,
    /// Sub-folder of the working directory to the exercise, listed before, whose files are copied into it.
    #[serde(default)]
    pub bring: BTreeMap<String, String>,
    /// Its steps, in order.
    pub step: Vec<Step>,
}

/// One program of an exercise. Exactly one of `checker`, `subject` and `command` is given.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name in the exercise.
    pub name: String,
    /// A program of `checks/` and its arguments.
    #[serde(default)]
    pub checker: Option<Vec<String>>,
    /// A rig, a Python script on its target branch, and arguments.
    #[serde(default)]
    pub subject: Option<Vec<String>>,
    /// Any program and its arguments, in which `${repo}` is the folder of what was merged in `rig`: a program of `[runtime]`, `python`, or
    /// one that was merged itself, `${repo}/greet`.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// The rig whose deliverable `command` runs.
    #[serde(default)]
    pub rig: Option<String>,
    /// Steps that must have exited 0, else this one is not run.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Its own time limit.
    #[serde(default)]
    pub timeout: Option<Span>,
}

/// Stands in a command for the folder of what was merged in the step's rig.
pub const REPO: &str = "${repo}";
/// The word of a command for the interpreter that is provided.
pub const PYTHON: &str = "python";

impl Step {
    /// The rig whose deliverable it runs; none of a checker.
    pub fn subject_rig(&self) -> Option<&str> {
        let named = self.subject.as_ref().and_then(|subject| subject.first()).map(String::as_str);
        named.or_else(|| self.command.as_ref().and(self.rig.as_deref()))
    }

    /// Whether the provided interpreter runs it.
    pub fn is_python(&self) -> bool {
        self.command.as_ref().is_none_or(|command| command.first().is_some_and(|word| word == PYTHON))
    }
}

impl Spec {
    /// Whether exercises need the interpreter that is provided.
    pub fn needs_python(&self) -> bool {
        self.exercise.iter().flat_map(|exercise| &exercise.step).any(Step::is_python)
    }
}
