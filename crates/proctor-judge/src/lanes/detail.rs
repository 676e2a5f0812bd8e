//! Everything that is known of one event: what was asked, answered, run and printed, its cost, attributes and evidence.

use serde::Serialize;

use super::identity::short;
use super::material::{LogRow, Material};
use super::{Event, Kind, Lanes, Link, Row, record};
use crate::evidence::{Exchange, Mail, MergeRequest, path};

/// Everything of one event.
#[derive(Debug, Serialize)]
pub struct Detail<'a> {
    /// The event itself.
    pub event: Row<'a>,
    /// What is known of it, most telling first.
    pub sections: Vec<Section>,
    /// Arrows that leave from it or reach it.
    pub links: Vec<&'a Link>,
    /// The event before it in its lane.
    pub previous: Option<&'a str>,
    /// The event after it in its lane.
    pub next: Option<&'a str>,
    /// The whole request and answer of a model call, relative to the run's folder.
    pub body: Option<String>,
    /// Where its evidence lies, relative to the run's folder.
    pub evidence: Vec<String>,
}

/// A part of the detail: a text or a table.
#[derive(Debug, PartialEq, Serialize)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// A text as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Names and values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<(String, String)>,
}

impl Lanes {
    /// Everything of the event with this id.
    #[must_use]
    pub fn detail<'a>(&'a self, material: &Material, id: &str) -> Option<Detail<'a>> {
        let (index, event) = self.event(id)?;
        let in_lane = |other: &&Event| other.lane == event.lane;
        Some(Detail {
            event: self.row(index),
            sections: sections(self, material, index, event),
            links: self.links.iter().filter(|link| touches(link, &event.id)).collect(),
            previous: self.events[..index].iter().rev().find(in_lane).map(|other| other.id.as_str()),
            next: self.events[index + 1..].iter().find(in_lane).map(|other| other.id.as_str()),
            body: body(material, event),
            evidence: evidence(material, event),
        })
    }
}

fn touches(link: &Link, id: &str) -> bool {
    link.event == id || link.to_event.as_deref() == Some(id)
}

fn body(material: &Material, event: &Event) -> Option<String> {
    let exchange = &material.exchanges[event.source.exchange?];
    let folder = path::EXCHANGES.rsplit_once('/').map_or("", |(folder, _)| folder);
    exchange.body.as_ref().map(|body| format!("evidence/{folder}/{body}"))
}

fn evidence(material: &Material, event: &Event) -> Vec<String> {
    let source = event.source;
    let mut places = Vec::new();
    places.extend(source.exchange.map(|_| format!("evidence/{}", path::EXCHANGES)));
    places.extend(body(material, event));
    places.extend(source.mail.map(|_| format!("evidence/{}", path::MAIL)));
    places.extend(source.merge_request.map(|_| format!("evidence/{}", path::MERGE_REQUESTS)));
    places
}

fn sections(lanes: &Lanes, material: &Material, index: usize, event: &Event) -> Vec<Section> {
    let source = event.source;
    let row = source.log.map(|at| &material.logs[at]);
    let mut sections = Vec::new();
    if let Some(mail) = source.mail.map(|at| &material.mail[at]) {
        sections.extend(of_mail(mail));
    }
    if let Some(request) = source.merge_request.map(|at| &material.merge_requests[at]) {
        sections.push(of_merge(request));
    }
    if let Some(exchange) = source.exchange.map(|at| &material.exchanges[at]) {
        sections.extend(of_exchange(exchange));
    }
    if let Some(row) = row {
        sections.extend(of_tool(lanes, material, index, event, row));
        sections.extend(texts(row));
        sections.extend(cost(row));
        sections.extend(derived(lanes, event, row));
        sections.extend(attributes(row));
    }
    sections
}

fn text(title: &str, text: &str) -> Option<Section> {
    let filled = !text.trim().is_empty();
    filled.then(|| Section { title: title.into(), text: Some(text.to_owned()), rows: Vec::new() })
}

fn table(title: &str, rows: Vec<(&str, Option<String>)>) -> Section {
    let filled = rows.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Section { title: title.into(), text: None, rows: filled.collect() }
}

fn of_mail(mail: &Mail) -> Vec<Section> {
    let head = vec![
        ("From", Some(mail.from.clone())),
        ("To", Some(mail.to.clone())),
        ("Subject", Some(mail.subject.clone())),
        ("Read", Some(if mail.read { "yes" } else { "no" }.to_owned())),
        ("Id", Some(mail.id.clone())),
    ];
    [Some(table("Mail", head)), text("Body", &mail.body)].into_iter().flatten().collect()
}

fn of_merge(request: &MergeRequest) -> Section {
    let rows = vec![
        ("Status", Some(request.status.clone())),
        ("Issue", Some(request.issue.clone())),
        ("Worker", Some(request.worker.clone())),
        ("Branch", Some(request.branch.clone())),
        ("Target", Some(request.target.clone())),
        ("Submitted commit", request.commit.clone()),
        ("Merged as", request.merge_commit.clone()),
        ("Reason", request.reason.clone()),
        ("Id", Some(request.id.clone())),
    ];
    table("Submission", rows)
}

fn of_exchange(exchange: &Exchange) -> Vec<Section> {
    let facts = vec![
        ("Model", exchange.model.clone()),
        ("Request", Some(exchange.request.clone())),
        ("HTTP status", Some(exchange.status.to_string())),
        ("Stop reason", exchange.stop_reason.clone()),
        ("Answered by", exchange.matched.clone()),
        ("No answer because", exchange.miss.clone()),
        ("Injected fault", exchange.fault.clone()),
        ("Input tokens", Some(exchange.input_tokens.to_string())),
        ("Output tokens", Some(exchange.output_tokens.to_string())),
        ("Turn", Some(exchange.turn.to_string())),
        ("Journal row", Some(exchange.n.to_string())),
        ("SHA-256 of the request", Some(exchange.sha256.clone())),
    ];
    let parts = [text("Asked", &exchange.asked), text("Answered", &exchange.answered), Some(table("Gateway", facts))];
    parts.into_iter().flatten().collect()
}

/// A tool call's command, and its output as the agent's next request to the model tells it.
fn of_tool(lanes: &Lanes, material: &Material, index: usize, event: &Event, row: &LogRow) -> Vec<Section> {
    if event.kind != Kind::ToolCall {
        return Vec::new();
    }
    let input = record::command(row).or_else(|| row.field("tool_input").map(str::to_owned)).unwrap_or_default();
    let later = lanes.events[index + 1..].iter().filter(|other| other.lane == event.lane);
    let next = later.filter_map(|other| other.source.exchange).find(|&at| {
        let end = super::signs::seconds(lanes.origin, material.exchanges[at].at);
        end + 0.001 >= event.end
    });
    let output = next.map(|at| material.exchanges[at].asked.as_str()).unwrap_or_default();
    [text("Command", &input), text("Output, as the next request told the model", output)].into_iter().flatten().collect()
}

fn texts(row: &LogRow) -> Vec<Section> {
    let named = [
        ("Prompt", "prompt"),
        ("Answer", "response"),
        ("Error", "error"),
        ("Error message", "error_message"),
        ("Body", "msg.body"),
        ("Arguments", "args"),
        ("Output", "stdout"),
        ("Standard error", "stderr"),
        ("Content", "content"),
    ];
    named.into_iter().filter_map(|(title, field)| text(title, row.field(field)?)).collect()
}

fn cost(row: &LogRow) -> Option<Section> {
    let named = [
        ("Cost (USD)", "cost_usd"),
        ("Input tokens", "input_tokens"),
        ("Output tokens", "output_tokens"),
        ("Tokens read from cache", "cache_read_tokens"),
        ("Tokens written to cache", "cache_creation_tokens"),
        ("Duration (ms)", "duration_ms"),
        ("Time to first token (ms)", "ttft_ms"),
    ];
    let rows = named.into_iter().map(|(title, field)| (title, row.field(field).map(str::to_owned))).collect();
    Some(table("Cost and time", rows)).filter(|section| !section.rows.is_empty())
}

/// Whose the event is, where that was not taken from the address that its record came by: the record speaks of another session.
fn derived(lanes: &Lanes, event: &Event, row: &LogRow) -> Option<Section> {
    let lane = lanes.lanes.get(event.lane)?;
    let same = row.address.is_empty() || short(&row.address) == short(&lane.agent);
    let session = row.field("session_id").filter(|_| !same && !lane.agent.is_empty())?;
    let rows = vec![
        ("Agent", Some(lane.agent.clone())),
        ("Derived from", Some(format!("the session that it speaks of, {session}"))),
        ("Came by the address of", Some(row.address.clone())),
        ("run.id as it was sent", row.field("run.id").map(str::to_owned)),
    ];
    Some(table("Derived", rows))
}

fn attributes(row: &LogRow) -> Vec<Section> {
    let own = [("event", row.body.clone()), ("address", row.address.clone()), ("number in the store", row.seq.to_string())];
    let contradicted = row.contradicted.iter().map(|claimed| ("claims to be", claimed.clone()));
    let head = own.into_iter().chain(contradicted).map(|(name, value)| (name.to_owned(), value));
    let fields = |fields: &std::collections::BTreeMap<String, String>| -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let record = Section {
        title: "Attributes".into(),
        text: None,
        rows: head.filter(|(_, value)| !value.is_empty()).chain(fields(&row.fields)).collect(),
    };
    let resource = Section { title: "Attributes of the process".into(), text: None, rows: fields(&row.resource) };
    [record, resource].into_iter().filter(|section| !section.rows.is_empty()).collect()
}
