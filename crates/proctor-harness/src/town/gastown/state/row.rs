//! The rows of one read, before they become neutral ones.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDateTime;
use proctor_judge::evidence::Time;

use super::dolt::Cells;

/// A bead of any kind, as the tables `issues` and `wisps` have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bead {
    pub(super) database: String,
    pub(super) id: String,
    pub(super) title: String,
    pub(super) status: String,
    pub(super) priority: u8,
    pub(super) issue_type: String,
    pub(super) assignee: String,
    pub(super) created_by: String,
    pub(super) created_at: Time,
    pub(super) closed_at: Option<Time>,
    pub(super) close_reason: String,
    pub(super) description: String,
}

impl Bead {
    /// The value of a line `key: value` of the description; what stands for nothing there (`null`, empty) is absent.
    pub(super) fn field(&self, key: &str) -> Option<&str> {
        let mut pairs = self.description.lines().filter_map(|line| line.split_once(':'));
        let text = pairs.find(|(name, _)| name.trim() == key)?.1.trim();
        (!text.is_empty() && text != "null").then_some(text)
    }

    pub(super) fn closed(&self) -> bool {
        self.status == "closed"
    }
}

/// One row of the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A row of `issues`, or a mail or merge request of `wisps`.
    Bead(Box<Bead>),
    /// A label of a bead.
    Label(String, String),
    /// What a convoy tracks.
    Tracks(String, String),
}

impl Row {
    /// Absent when the row has another form; a bead that cannot be named cannot be shown.
    pub(super) fn parse(cells: &Cells) -> Option<Self> {
        let text = |index: usize| cells.get(index).cloned().flatten().unwrap_or_default();
        let id = Some(text(2)).filter(|id| !id.is_empty())?;
        match text(0).as_str() {
            "b" | "w" => Some(Self::Bead(Box::new(Bead {
                database: text(1),
                id,
                title: text(3),
                status: text(4),
                priority: text(5).parse().unwrap_or_default(),
                issue_type: text(6),
                assignee: text(7),
                created_by: text(8),
                created_at: time(&text(9)).unwrap_or_default(),
                closed_at: time(&text(10)),
                close_reason: text(11),
                description: text(12),
            }))),
            "l" => Some(Self::Label(id, text(3))),
            "t" => Some(Self::Tracks(id, text(3))),
            _ => None,
        }
    }
}

/// A time as the server prints it: UTC without saying so.
pub(super) fn time(text: &str) -> Option<Time> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok().map(|at| at.and_utc())
}

/// All rows of one read.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) beads: Vec<Bead>,
    labels: BTreeMap<String, BTreeSet<String>>,
    tracked: BTreeMap<String, Vec<String>>,
}

impl Rows {
    pub(super) fn new(rows: impl Iterator<Item = Row>) -> Self {
        let mut all = Self::default();
        for row in rows {
            match row {
                Row::Bead(bead) => all.beads.push(*bead),
                Row::Label(id, label) => _ = all.labels.entry(id).or_default().insert(label),
                Row::Tracks(convoy, issue) => all.tracked.entry(convoy).or_default().push(issue),
            }
        }
        all.beads.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        all
    }

    pub(super) fn has(&self, bead: &Bead, label: &str) -> bool {
        self.labels.get(&bead.id).is_some_and(|labels| labels.contains(label))
    }

    /// The value of a label such as `from:alice/refinery`.
    pub(super) fn labelled(&self, bead: &Bead, key: &str) -> Option<&str> {
        self.labels(bead).find_map(|label| label.strip_prefix(key)?.strip_prefix(':'))
    }

    pub(super) fn labels(&self, bead: &Bead) -> impl Iterator<Item = &str> {
        self.labels.get(&bead.id).into_iter().flatten().map(String::as_str)
    }

    /// Ids of the issues that a convoy tracks; a rig's issue is written as `external:al:al-k3x`.
    pub(super) fn tracked(&self, convoy: &str) -> Vec<String> {
        let plain = |id: &String| match id.strip_prefix("external:").and_then(|rest| rest.split_once(':')) {
            Some((_, id)) => id.to_owned(),
            None => id.clone(),
        };
        self.tracked.get(convoy).into_iter().flatten().map(plain).collect()
    }
}
