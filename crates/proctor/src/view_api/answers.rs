//! The answers of `/api/`: the run, its events, how dense they are, the links between lanes, and all of one event.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use proctor_judge::lanes::{Event, Lanes, Link, Window};
use proctor_judge::picture::{Options, timeline_svg};
use serde_json::{Value, json};

use super::conversation;
use super::parameters::Asked;
use super::run::{Loaded, Run};

/// Events in one answer when no limit is asked for, and at most.
const PAGE: (usize, usize) = (500, 20_000);
/// Links in one answer when no limit is asked for, and at most.
const LINKS: (usize, usize) = (2_000, 20_000);

/// Seconds by which a moment that somebody wrote down may lie beside what is meant.
const NAMED: f64 = 0.006;

/// An error answer: `{"error": "…"}` with its status.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(crate) fn bad_request(message: String) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, message }
    }

    pub(crate) fn not_found(message: String) -> Refusal {
        Refusal { status: StatusCode::NOT_FOUND, message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.message }))).into_response()
    }
}

type Answer = Result<Response, Refusal>;

/// Reads the run where blocking is allowed and answers from what was read.
async fn answer<F>(run: Arc<Run>, make: F) -> Answer
where
    F: FnOnce(&Loaded) -> Answer + Send + 'static,
{
    let work = move || match run.load() {
        Ok(loaded) => make(&loaded),
        Err(error) => Err(Refusal::not_found(error.to_string())),
    };
    let broken = |error: tokio::task::JoinError| Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: format!("the run could not be read: {error}"),
    };
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}

fn ok(value: impl serde::Serialize) -> Answer {
    Ok(Json(value).into_response())
}

pub(crate) async fn run(State(run): State<Arc<Run>>, headers: HeaderMap) -> Answer {
    answer(run, move |loaded| {
        let tag = format!("\"{}\"", loaded.stamp);
        let known = headers.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
        if known {
            return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
        }
        Ok(([(ETAG, tag)], Json(run_json(loaded))).into_response())
    })
    .await
}

fn run_json(loaded: &Loaded) -> Value {
    let run = loaded.material.run.as_ref().map(|run| {
        json!({
            "id": run.id, "run_id": run.run_id, "scenario": run.scenario, "title": run.title, "town": run.town,
            "models": run.models, "command": run.command, "started_at": run.started_at, "ended_at": run.ended_at,
            "stopped": run.stopped,
        })
    });
    let said = |key: &str| loaded.summary.as_ref().and_then(|summary| summary.get(key)).cloned();
    json!({
        "stamp": loaded.stamp,
        "changed_ms": loaded.changed_ms,
        "run": run,
        "verdict": said("outcome").map(|outcome| json!({ "outcome": outcome, "headline": said("headline") })),
        "links": loaded.lanes.links.len(),
        "picture": loaded.lanes,
    })
}

pub(crate) async fn events(State(run): State<Arc<Run>>, asked: Asked) -> Answer {
    answer(run, move |loaded| {
        let selection = loaded.select(&asked.filter());
        let limit = asked.limit.unwrap_or(PAGE.0).min(PAGE.1);
        let page = loaded.lanes.page(&selection, asked.window(), asked.offset, limit);
        let all = loaded.lanes.events.len();
        ok(json!({ "stamp": loaded.stamp, "total": page.total, "all": all, "offset": page.offset, "events": page.events }))
    })
    .await
}

pub(crate) async fn density(State(run): State<Arc<Run>>, asked: Asked) -> Answer {
    answer(run, move |loaded| {
        let selection = loaded.select(&asked.filter());
        let from = asked.from.unwrap_or(loaded.lanes.start);
        let to = asked.to.unwrap_or(loaded.lanes.end);
        if from.partial_cmp(&to) != Some(std::cmp::Ordering::Less) {
            return Err(Refusal::bad_request("`from` must be less than `to`".into()));
        }
        ok(loaded.lanes.density(&selection, Window { from, to }, asked.buckets.unwrap_or(1_000)))
    })
    .await
}

pub(crate) async fn links(State(run): State<Arc<Run>>, asked: Asked) -> Answer {
    answer(run, move |loaded| {
        let window = asked.window();
        let inside = |link: &&Link| {
            let (first, last) = (link.from_at.min(link.to_at), link.from_at.max(link.to_at));
            window.is_none_or(|window| last >= window.from && first <= window.to)
        };
        let matching: Vec<&Link> = loaded.lanes.links.iter().filter(inside).collect();
        let limit = asked.limit.unwrap_or(LINKS.0).min(LINKS.1);
        let given: Vec<Value> = matching.iter().take(limit).map(|link| link_json(&loaded.lanes, link)).collect();
        ok(json!({ "stamp": loaded.stamp, "total": matching.len(), "links": given }))
    })
    .await
}

fn link_json(lanes: &Lanes, link: &Link) -> Value {
    json!({
        "kind": link.kind, "from": lanes.lanes[link.from].id, "from_at": link.from_at, "to": lanes.lanes[link.to].id,
        "to_at": link.to_at, "event": link.event, "to_event": link.to_event, "label": link.label, "exact": link.exact,
    })
}

pub(crate) async fn rank(State(run): State<Arc<Run>>, asked: Asked) -> Answer {
    answer(run, move |loaded| {
        let selection = loaded.select(&asked.filter());
        ok(json!({ "rank": loaded.lanes.rank(&selection, asked.window(), &asked.id) }))
    })
    .await
}

/// The matching event that is nearest to the second `at`.
pub(crate) async fn near(State(run): State<Arc<Run>>, asked: Asked) -> Answer {
    answer(run, move |loaded| {
        let selection = loaded.select(&asked.filter());
        let at = asked.at.ok_or_else(|| Refusal::bad_request("`at` is missing: seconds since the run's start".into()))?;
        let events = selection.iter().map(|&index| &loaded.lanes.events[index as usize]);
        // A moment in a link has few decimals: what began in it is meant, rather than what was under way.
        let distance = |event: &Event| {
            let since = (event.start - at).abs();
            if since <= NAMED { since / 1e6 } else { 1.0 + (event.start - at).max(at - event.end).max(0.0) + since / 1e6 }
        };
        let nearest = events.min_by(|a, b| distance(a).total_cmp(&distance(b)));
        ok(json!({ "id": nearest.map(|event| &event.id) }))
    })
    .await
}

pub(crate) async fn event(State(run): State<Arc<Run>>, Path(name): Path<String>) -> Answer {
    answer(run, move |loaded| {
        let id = name.strip_suffix(".json").unwrap_or(&name);
        let detail = loaded.lanes.detail(&loaded.material, id);
        let detail = detail.ok_or_else(|| Refusal::not_found(format!("no event `{id}` in this run")))?;
        let links: Vec<Value> = detail.links.iter().map(|link| link_json(&loaded.lanes, link)).collect();
        ok(json!({
            "event": detail.event, "sections": detail.sections, "links": links, "previous": detail.previous,
            "next": detail.next, "body": detail.body, "evidence": detail.evidence,
        }))
    })
    .await
}

/// The whole request and answer of a model call, as a conversation.
pub(crate) async fn conversation(State(run): State<Arc<Run>>, Path(name): Path<String>) -> Answer {
    let dir = run.dir.clone();
    answer(run, move |loaded| {
        let id = name.strip_suffix(".json").unwrap_or(&name);
        let detail = loaded.lanes.detail(&loaded.material, id);
        let detail = detail.ok_or_else(|| Refusal::not_found(format!("no event `{id}` in this run")))?;
        let body = detail.body.ok_or_else(|| Refusal::not_found(format!("the gateway kept no request of `{id}`")))?;
        ok(conversation::read(&dir, &body).map_err(Refusal::not_found)?)
    })
    .await
}

pub(crate) async fn picture(State(run): State<Arc<Run>>) -> Answer {
    answer(run, |loaded| {
        let svg = timeline_svg(&loaded.lanes, &Options::default());
        Ok(([(CONTENT_TYPE, "image/svg+xml"), super::files::SANDBOX], svg).into_response())
    })
    .await
}
