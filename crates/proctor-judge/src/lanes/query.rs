//! Questions about the picture: which events, in which order, how many, and how dense where there are too many to draw.
//!
//! A limit never bites unseen: every answer says how many events there are.

use std::collections::BTreeMap;

use serde::Serialize;

use super::material::Material;
use super::{Event, Kind, Lanes};

/// Which events are asked for. Empty lists ask for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Ids of lanes.
    pub lanes: Vec<String>,
    /// Agents, by long or short address.
    pub agents: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Rigs.
    pub rigs: Vec<String>,
    /// Names of kinds.
    pub kinds: Vec<String>,
    /// Only events that failed.
    pub errors: bool,
    /// Text that an event's title, attributes, prompt or answer contains, in any letter case.
    pub text: String,
}

/// A part of the time axis, in seconds; both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// First second.
    pub from: f64,
    /// Last second.
    pub to: f64,
}

/// Some events of a selection, and how many there are.
#[derive(Debug, Serialize)]
pub struct Page<'a> {
    /// Events that match, in the window.
    pub total: usize,
    /// How many of them come before the first one given.
    pub offset: usize,
    /// The events given, by start.
    pub events: Vec<Row<'a>>,
}

/// An event with the id of its lane.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    /// The lane's id.
    pub lane: &'a str,
    /// The event. Its own `lane` is not written twice.
    #[serde(flatten)]
    pub event: Facts<'a>,
}

/// What is drawn and listed of an event.
#[derive(Debug, Serialize)]
pub struct Facts<'a> {
    /// See [`Event::id`].
    pub id: &'a str,
    /// See [`Event::start`].
    pub start: f64,
    /// See [`Event::end`].
    pub end: f64,
    /// See [`Event::kind`].
    pub kind: Kind,
    /// See [`Event::title`].
    pub title: &'a str,
    /// See [`Event::error`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub error: bool,
    /// See [`Event::cost_usd`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Input and output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

/// How many events lie in each of equal parts of a window, lane by lane.
#[derive(Debug, PartialEq, Serialize)]
pub struct Density {
    /// First second.
    pub from: f64,
    /// Last second.
    pub to: f64,
    /// Number of parts.
    pub buckets: usize,
    /// Events counted.
    pub total: usize,
    /// Lanes with events in the window.
    pub lanes: Vec<LaneDensity>,
}

/// The density of one lane: runs of `[first bucket, length, events]` per group; buckets without events are left out.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct LaneDensity {
    /// The lane's id.
    pub lane: String,
    /// Runs by group: `model_call`, `tool_call`, `other`, and over all of them `error`.
    pub groups: BTreeMap<&'static str, Vec<[u32; 3]>>,
}

impl Lanes {
    /// Indexes of the events that match, by start.
    #[must_use]
    pub fn select(&self, material: &Material, filter: &Filter) -> Vec<u32> {
        let text = filter.text.trim().to_lowercase();
        let wanted: Vec<bool> = self.lanes.iter().map(|lane| filter.takes_lane(lane)).collect();
        let matches = |event: &Event| {
            wanted[event.lane]
                && (!filter.errors || event.error)
                && listed(&filter.kinds, event.kind.name())
                && (text.is_empty() || contains(material, event, &text))
        };
        let all = self.events.iter().enumerate();
        all.filter(|(_, event)| matches(event)).filter_map(|(index, _)| u32::try_from(index).ok()).collect()
    }

    /// A page of a selection: those that overlap the window, from the `offset`th on, at most `limit`.
    #[must_use]
    pub fn page(&self, selection: &[u32], window: Option<Window>, offset: usize, limit: usize) -> Page<'_> {
        let inside: Vec<u32> = self.inside(selection, window).collect();
        let events = inside.iter().skip(offset).take(limit).map(|&index| self.row(index as usize)).collect();
        Page { total: inside.len(), offset, events }
    }

    /// Where among a selection's events in the window the event stands; absent when it is not among them.
    #[must_use]
    pub fn rank(&self, selection: &[u32], window: Option<Window>, id: &str) -> Option<usize> {
        let (index, _) = self.event(id)?;
        let wanted = u32::try_from(index).ok()?;
        self.inside(selection, window).position(|other| other == wanted)
    }

    /// Counts a selection's events in `buckets` equal parts of the window.
    #[must_use]
    pub fn density(&self, selection: &[u32], window: Window, buckets: usize) -> Density {
        let buckets = buckets.clamp(1, 20_000);
        let mut lanes: BTreeMap<usize, BTreeMap<&'static str, Vec<i64>>> = BTreeMap::new();
        let mut total = 0;
        for index in self.inside(selection, Some(window)) {
            let event = &self.events[index as usize];
            let (first, last) = (window.bucket(event.start, buckets), window.bucket(event.end, buckets));
            let groups = lanes.entry(event.lane).or_default();
            for group in [Some(group(event.kind)), event.error.then_some("error")].into_iter().flatten() {
                let steps = groups.entry(group).or_insert_with(|| vec![0; buckets + 1]);
                steps[first] += 1;
                steps[last + 1] -= 1;
            }
            total += 1;
        }
        let lanes = lanes.into_iter().map(|(lane, groups)| LaneDensity {
            lane: self.lanes[lane].id.clone(),
            groups: groups.into_iter().map(|(name, steps)| (name, runs(&steps))).collect(),
        });
        Density { from: window.from, to: window.to, buckets, total, lanes: lanes.collect() }
    }

    fn inside<'a>(&'a self, selection: &'a [u32], window: Option<Window>) -> impl Iterator<Item = u32> + 'a {
        let matches = move |index: &u32| {
            let event = &self.events[*index as usize];
            window.is_none_or(|window| event.end >= window.from && event.start <= window.to)
        };
        selection.iter().copied().filter(matches)
    }

    pub(crate) fn row(&self, index: usize) -> Row<'_> {
        let event = &self.events[index];
        let tokens = event.input_tokens.map(|input| input + event.output_tokens.unwrap_or(0));
        Row {
            lane: &self.lanes[event.lane].id,
            event: Facts {
                id: &event.id,
                start: event.start,
                end: event.end,
                kind: event.kind,
                title: &event.title,
                error: event.error,
                cost_usd: event.cost_usd,
                tokens,
            },
        }
    }
}

impl Filter {
    fn takes_lane(&self, lane: &super::Lane) -> bool {
        let agent = self.agents.is_empty() || self.agents.iter().any(|name| *name == lane.agent || *name == lane.label);
        listed(&self.lanes, &lane.id)
            && agent
            && listed(&self.roles, &lane.role)
            && listed(&self.rigs, lane.rig.as_deref().unwrap_or_default())
    }
}

impl Window {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    fn bucket(self, at: f64, buckets: usize) -> usize {
        let width = (self.to - self.from).max(f64::MIN_POSITIVE);
        let place = (at - self.from) / width * buckets as f64;
        // Casts of floats saturate: before the window is 0, behind it the last bucket.
        (place.floor() as usize).min(buckets - 1)
    }
}

/// The kinds that are told apart where there is no room for single events.
fn group(kind: Kind) -> &'static str {
    match kind {
        Kind::ModelCall | Kind::ToolCall => kind.name(),
        _ => "other",
    }
}

fn listed(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|entry| entry == name)
}

/// Differences of counts to runs of equal counts.
fn runs(steps: &[i64]) -> Vec<[u32; 3]> {
    let mut runs: Vec<[u32; 3]> = Vec::new();
    let mut level = 0i64;
    for (bucket, step) in steps.iter().enumerate().take(steps.len() - 1) {
        level += step;
        let (Ok(at), Ok(count)) = (u32::try_from(bucket), u32::try_from(level)) else { continue };
        match runs.last_mut() {
            Some(last) if last[0] + last[1] == at && last[2] == count => last[1] += 1,
            _ if count > 0 => runs.push([at, 1, count]),
            _ => {}
        }
    }
    runs
}

fn contains(material: &Material, event: &Event, text: &str) -> bool {
    let has = |value: &str| value.to_lowercase().contains(text);
    let source = event.source;
    has(&event.title)
        || has(&event.id)
        || source.log.is_some_and(|index| material.logs[index].fields.values().any(|value| has(value)))
        || source.exchange.is_some_and(|index| {
            let exchange = &material.exchanges[index];
            has(&exchange.asked) || has(&exchange.answered)
        })
        || source.mail.is_some_and(|index| has(&material.mail[index].body))
}
