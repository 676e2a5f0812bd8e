//! Arrows between lanes: sling to the session it started, mail to its reading, nudge to the prompt it became, done to the queue.
//!
//! An arrow whose far end names no known lane is counted in [`super::Tally::unresolved_links`], never dropped unseen.

use std::collections::HashMap;

use super::build::lane_at;
use super::identity::Book;
use super::material::{LogRow, Material};
use super::signs::seconds;
use super::{Event, Kind, LaneKind, Lanes, Link, LinkKind};

/// Longest time, in seconds, from typing a nudge to the prompt event it becomes.
const NUDGE_S: f64 = 30.0;
/// Longest time, in seconds, that a session may be older than the sling's record and still be its work.
const SLING_S: f64 = 60.0;
/// Largest distance, in seconds, between a worker's `done` and its submission.
const DONE_S: f64 = 10.0;

/// Draws every arrow of the run.
pub(crate) fn draw(lanes: &mut Lanes, material: &Material, book: &Book) {
    let drawing = Drawing::new(lanes, material, book);
    let mut links = Vec::new();
    let mut unresolved = Vec::new();
    for event in &lanes.events {
        match drawing.from(event) {
            Some(Ok(link)) => links.push(link),
            Some(Err(reason)) => unresolved.push(reason),
            None => {}
        }
    }
    links.sort_by(|a: &Link, b: &Link| a.from_at.total_cmp(&b.from_at).then_with(|| a.event.cmp(&b.event)));
    lanes.links = links;
    for reason in unresolved {
        *lanes.tally.unresolved_links.entry(reason).or_default() += 1;
    }
}

struct Drawing<'a> {
    lanes: &'a Lanes,
    material: &'a Material,
    book: &'a Book,
    by_agent: HashMap<&'a str, Vec<usize>>,
    reads: HashMap<&'a str, &'a Event>,
    prompts: HashMap<usize, Vec<&'a Event>>,
    dones: HashMap<usize, Vec<&'a Event>>,
}

type Drawn = Option<Result<Link, String>>;

impl<'a> Drawing<'a> {
    fn new(lanes: &'a Lanes, material: &'a Material, book: &'a Book) -> Drawing<'a> {
        let mut drawing = Drawing {
            lanes,
            material,
            book,
            by_agent: HashMap::new(),
            reads: HashMap::new(),
            prompts: HashMap::new(),
            dones: HashMap::new(),
        };
        for (index, lane) in lanes.lanes.iter().enumerate().filter(|(_, lane)| !lane.agent.is_empty()) {
            drawing.by_agent.entry(&lane.agent).or_default().push(index);
        }
        for event in &lanes.events {
            drawing.index(event);
        }
        drawing
    }

    fn index(&mut self, event: &'a Event) {
        match event.kind {
            Kind::Prompt => self.prompts.entry(event.lane).or_default().push(event),
            Kind::Done => self.dones.entry(event.lane).or_default().push(event),
            Kind::Mail => {
                let row = event.source.log.map(|index| &self.material.logs[index]);
                let read = row.filter(|row| row.field("operation") == Some("read"));
                if let Some(id) = read.and_then(|row| row.field("msg.id")) {
                    self.reads.entry(id).or_insert(event);
                }
            }
            _ => {}
        }
    }

    fn from(&self, event: &Event) -> Drawn {
        if matches!(self.lanes.lanes[event.lane].kind, LaneKind::Contradicted) {
            return None;
        }
        match event.kind {
            Kind::Sling => self.sling(event),
            Kind::Mail => self.mail(event),
            Kind::Nudge => self.nudge(event),
            Kind::Merge => self.merge(event),
            _ => None,
        }
    }

    fn log(&self, event: &Event) -> Option<&'a LogRow> {
        event.source.log.map(|index| &self.material.logs[index])
    }

    fn lane(&self, agent: &str, at: f64) -> Option<usize> {
        lane_at(&self.lanes.lanes, self.by_agent.get(agent)?, at)
    }

    fn resolve(&self, name: &str, at: f64) -> Option<usize> {
        self.lane(self.book.resolve(name)?, at)
    }

    /// The lane on whose hook the issue is and that began nearest to the sling; else the lane that the target names.
    fn sling(&self, event: &Event) -> Drawn {
        let row = self.log(event).filter(|_| !event.error)?;
        let issue = row.field("bead");
        let lanes = self.lanes.lanes.iter().enumerate();
        let started = lanes.filter(|(_, lane)| issue.is_some() && lane.issue.as_deref() == issue);
        let near = |start: f64| (start - event.end).abs();
        let by_issue = started.min_by(|(_, a), (_, b)| near(a.start).total_cmp(&near(b.start))).map(|(index, _)| index);
        let by_target = || row.field("target").and_then(|name| self.resolve(name, event.end));
        let label = issue.unwrap_or("work").to_owned();
        let Some(to) = by_issue.or_else(by_target) else {
            return Some(Err(format!("sling of {label}: no session took it")));
        };
        // The record is written when the sling is over, the session begins while it goes on.
        let start = self.lanes.lanes[to].start;
        let (from_at, to_at) = if start < event.start - SLING_S { (event.end, event.end) } else { (event.end.min(start), start) };
        let exact = by_issue.is_some();
        Some(Ok(Link { from_at, to, to_at, label, exact, ..leaving(LinkKind::Sling, event) }))
    }

    fn mail(&self, event: &Event) -> Drawn {
        let mail = event.source.mail.map(|index| &self.material.mail[index]);
        let row = self.log(event);
        if mail.is_none() && row.and_then(|row| row.field("operation")) != Some("send") {
            return None;
        }
        let field = |name: &str| row.and_then(|row| row.field(name)).unwrap_or_default().to_owned();
        let id = mail.map_or_else(|| field("msg.id"), |mail| mail.id.clone());
        let to = mail.map_or_else(|| field("msg.to"), |mail| mail.to.clone());
        let label = mail.map_or_else(|| field("msg.subject"), |mail| mail.subject.clone());
        if let Some(read) = self.reads.get(id.as_str()).filter(|read| read.end >= event.start) {
            let to_event = Some(read.id.clone());
            let far = Link { to: read.lane, to_at: read.end, to_event, label, exact: true, ..leaving(LinkKind::Mail, event) };
            return Some(Ok(far));
        }
        let Some(lane) = self.resolve(&to, event.end) else {
            return Some(Err(format!("mail to {to}, which is no agent with a lane")));
        };
        let to_at = self.lanes.lanes[lane].start.max(event.end);
        Some(Ok(Link { to: lane, to_at, label, exact: false, ..leaving(LinkKind::Mail, event) }))
    }

    fn nudge(&self, event: &Event) -> Drawn {
        let target = self.log(event).filter(|_| !event.error)?.field("target").unwrap_or_default();
        let Some(to) = self.resolve(target, event.end) else {
            return Some(Err(format!("nudge to {target}, which is no agent with a lane")));
        };
        let heard = self
            .prompts
            .get(&to)
            .and_then(|prompts| prompts.iter().find(|prompt| prompt.start >= event.start && prompt.start <= event.end + NUDGE_S));
        let to_at = heard.map_or(event.end, |prompt| prompt.start);
        let to_event = heard.map(|prompt| prompt.id.clone());
        let label = format!("nudge {target}");
        Some(Ok(Link { to, to_at, to_event, label, exact: false, ..leaving(LinkKind::Nudge, event) }))
    }

    /// Drawn from the queue's side, so that a worker without telemetry has its arrow too.
    fn merge(&self, event: &Event) -> Drawn {
        let request = &self.material.merge_requests[event.source.merge_request?];
        let at = seconds(self.lanes.origin, request.created_at);
        let Some(from) = self.resolve(&request.worker, at) else {
            return Some(Err(format!("submission by {}, which is no agent with a lane", request.worker)));
        };
        let near = |done: &&&Event| (done.end - at).abs();
        let done = self
            .dones
            .get(&from)
            .and_then(|dones| dones.iter().filter(|done| near(done) <= DONE_S).min_by(|a, b| near(a).total_cmp(&near(b))));
        Some(Ok(Link {
            kind: LinkKind::Done,
            from,
            from_at: done.map_or(at, |done| done.end.min(at)),
            to: event.lane,
            to_at: at,
            event: done.map_or_else(|| event.id.clone(), |done| done.id.clone()),
            to_event: Some(event.id.clone()),
            label: request.issue.clone(),
            exact: true,
        }))
    }
}

fn leaving(kind: LinkKind, event: &Event) -> Link {
    Link {
        kind,
        from: event.lane,
        from_at: event.end,
        to: event.lane,
        to_at: event.end,
        event: event.id.clone(),
        to_event: None,
        label: String::new(),
        exact: false,
    }
}
