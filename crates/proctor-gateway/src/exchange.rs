//! One exchange from the request's bytes to the reply, journalled.
//!
//! The row is on disk before the reply leaves, so an agent that got an answer finds it in the journal even if it, or
//! Proctor, dies the moment after.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::agent::Agent;
use crate::answer::{self, Answer, position};
use crate::caller::Caller;
use crate::conversation::hex;
use crate::fault::Fault;
use crate::gateway::Inner;
use crate::journal::{Bodies, Exchange};
use crate::request::Request;
use crate::wire::{Block, Message, error};
use crate::{side, tokens};

/// Longest `asked` and `answered` of a row, in bytes.
const ROW_TEXT: usize = 4096;
/// Longest `request` of a row, in bytes.
const ROW_REQUEST: usize = 200;
/// Bytes kept of the body of a request that counts for nobody or asks for what does not exist.
const STRAY_BODY: usize = 64 << 10;

/// What is sent back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Body,
    /// The row's number; none when there is no row.
    pub(crate) n: Option<u64>,
    pub(crate) retry_after_s: Option<u32>,
}

/// A reply's body.
#[derive(Debug)]
pub(crate) enum Body {
    Empty,
    Json(String),
    Events(Vec<String>),
    /// These parts, then the connection is cut; the flag says whether they are events.
    Cut(Vec<String>, bool),
}

/// The parts of the API that are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Messages,
    CountTokens,
    /// `HEAD` of anything: whether somebody is there.
    Head,
    /// `GET /health`.
    Health,
    /// Anything else.
    Nothing,
}

/// A request as it came in.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) caller: Caller,
    pub(crate) endpoint: Endpoint,
    /// Method and path as they came.
    pub(crate) request: String,
    pub(crate) body: Bytes,
}

impl Asked {
    /// What the row calls the request.
    fn name(&self) -> String {
        match self.endpoint {
            Endpoint::Messages => "POST /v1/messages".to_owned(),
            Endpoint::CountTokens => "POST /v1/messages/count_tokens".to_owned(),
            _ => cut_at(&self.request, ROW_REQUEST),
        }
    }

    /// As much of the body as is kept: all that an agent sends to what exists.
    fn kept(&self) -> Bytes {
        let is_whole = !self.caller.agent.is_empty() && self.endpoint != Endpoint::Nothing;
        let end = if is_whole { self.body.len() } else { self.body.len().min(STRAY_BODY) };
        self.body.slice(..end)
    }
}

impl Reply {
    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self { status, body: Body::Json(error(status, message).to_string()), n: None, retry_after_s: None }
    }

    pub(crate) fn json(body: String) -> Self {
        Self { status: 200, body: Body::Json(body), n: None, retry_after_s: None }
    }

    fn bodies(&self, request: &Bytes) -> Bodies {
        let (answer, answer_kind) = match &self.body {
            Body::Empty => (String::new(), "json"),
            Body::Json(json) => (json.clone(), "json"),
            Body::Events(events) | Body::Cut(events, true) => (events.concat(), "sse"),
            Body::Cut(parts, false) => (parts.concat(), "json"),
        };
        Bodies { request: request.to_vec(), answer: answer.into_bytes(), answer_kind }
    }
}

/// Answers a request.
pub(crate) fn exchange(inner: &Inner, asked: &Asked) -> Reply {
    if !inner.journal.has_room(&asked.caller.agent) {
        return Reply::error(429, "proctor: too many requests of one sender: this one is counted and not journalled");
    }
    let mut row = new_row(inner, asked);
    let mut reply = reply_to(inner, asked, &mut row);
    row.status = reply.status;
    if row.agent.is_empty() || row.miss.is_some() || asked.endpoint == Endpoint::Nothing {
        row.from = asked.caller.ask();
    }
    let bodies = reply.bodies(&asked.kept());
    let finish = |row: &mut Exchange| row.duration_ms = milliseconds(row.at, (inner.clock)());
    match inner.journal.append(row, &bodies, finish) {
        Ok(row) => {
            reply.n = Some(row.n);
            reply
        }
        Err(error) => Reply::error(500, &format!("proctor: the journal is not whole: {error}")),
    }
}

fn reply_to(inner: &Inner, asked: &Asked, row: &mut Exchange) -> Reply {
    let Caller { agent, claimed, .. } = &asked.caller;
    match (asked.endpoint, claimed) {
        (Endpoint::Head, _) => Reply { body: Body::Empty, ..Reply::json(String::new()) },
        (Endpoint::Health, _) => Reply::json("{\"status\":\"ok\"}".to_owned()),
        (_, Some(claimed)) => {
            row.asked = cut(&String::from_utf8_lossy(&asked.kept()));
            Reply::error(401, &format!("proctor: the address names `{claimed}` and does not hold its token"))
        }
        (Endpoint::Nothing, None) => {
            row.asked = cut(&String::from_utf8_lossy(&asked.kept()));
            Reply::error(404, &format!("proctor: nothing at {}", row.request))
        }
        (endpoint, None) => match Request::read(&asked.body) {
            Err(message) => Reply::error(400, &message),
            Ok(request) => {
                describe(row, &request);
                if agent.is_empty() {
                    return miss(row, "the path names no agent: it must be /a/<agent>/<token>/v1/messages");
                }
                respond(inner, &Agent::parse(agent), endpoint, &request, row)
            }
        },
    }
}

fn milliseconds(from: chrono::DateTime<chrono::Utc>, to: chrono::DateTime<chrono::Utc>) -> f64 {
    (to - from).as_seconds_f64() * 1000.0
}

fn new_row(inner: &Inner, asked: &Asked) -> Exchange {
    Exchange {
        n: 0,
        agent: asked.caller.agent.clone(),
        claimed: asked.caller.claimed.clone(),
        from: None,
        at: (inner.clock)(),
        duration_ms: 0.0,
        request: asked.name(),
        model: None,
        stream: false,
        turn: 0,
        sha256: hex(&Sha256::digest(&asked.body)),
        status: 0,
        stop_reason: None,
        matched: None,
        miss: None,
        fault: None,
        input_tokens: 0,
        output_tokens: 0,
        asked: String::new(),
        answered: String::new(),
        body: None,
    }
}

fn describe(row: &mut Exchange, request: &Request) {
    row.model.clone_from(&request.model);
    row.stream = request.stream;
    row.turn = request.conversation.assistant_messages;
    row.asked = cut(request.conversation.newest());
}

fn respond(inner: &Inner, agent: &Agent, endpoint: Endpoint, request: &Request, row: &mut Exchange) -> Reply {
    if endpoint == Endpoint::CountTokens {
        row.matched = Some("count_tokens".to_owned());
        row.input_tokens = request.input_tokens;
        return Reply::json(format!(r#"{{"input_tokens":{}}}"#, request.input_tokens));
    }
    let conversation = &request.conversation;
    let fault = inner.faults.fire(agent, &conversation.beginning(), conversation.assistant_messages);
    row.fault = fault.map(|fault| fault.name.clone());
    if let Some((fault, status)) = fault.and_then(|fault| Some((fault, fault.status?))) {
        return failure(fault, status);
    }
    let answer = match side::answer(request) {
        Some((matched, say)) => Ok(Answer { say: Some(say), call: None, matched: matched.to_owned() }),
        None => answer::answer(&inner.scripts, agent, request),
    };
    match answer {
        Ok(answer) => message_reply(&answer, agent, request, row),
        Err(why) => miss(row, &format!("agent `{}`, {}: {why}", agent.id, position(conversation))),
    }
}

fn failure(fault: &Fault, status: u16) -> Reply {
    let reply = Reply::error(status, &format!("proctor: planned fault `{}`", fault.name));
    Reply { retry_after_s: fault.retry_after_s, ..reply }
}

fn miss(row: &mut Exchange, why: &str) -> Reply {
    row.miss = Some(why.to_owned());
    Reply::error(400, &format!("proctor: no script answer for {why}"))
}

fn message_reply(answer: &Answer, agent: &Agent, request: &Request, row: &mut Exchange) -> Reply {
    let message = message(answer, agent, request);
    row.matched = Some(answer.matched.clone());
    row.answered = cut(&answered(answer));
    row.stop_reason = Some(message.stop_reason().to_owned());
    row.input_tokens = message.input_tokens;
    row.output_tokens = message.output_tokens;
    let body = match (request.stream, row.fault.is_some()) {
        (true, false) => Body::Events(message.events()),
        (false, false) => Body::Json(message.to_json().to_string()),
        // Start, ping, block start and first delta: enough that the client has begun to read an answer.
        (true, true) => Body::Cut(message.events().into_iter().take(4).collect(), true),
        (false, true) => Body::Cut(vec![message.to_json().to_string().chars().take(40).collect()], false),
    };
    Reply { status: 200, body, n: None, retry_after_s: None }
}

fn message(answer: &Answer, agent: &Agent, request: &Request) -> Message {
    let print = request.conversation.fingerprint(&agent.id);
    let text = answer.say.iter().map(|say| Block::Text(say.clone()));
    let call = answer.call.iter().map(|call| Block::ToolUse {
        id: format!("toolu_{}", &print[..24]),
        name: call.tool.clone(),
        input: call.input.clone(),
    });
    Message {
        id: format!("msg_{}", &print[24..48]),
        model: request.model.clone().unwrap_or_else(|| "proctor-script-1".to_owned()),
        content: text.chain(call).collect(),
        input_tokens: request.input_tokens,
        output_tokens: output_tokens(answer),
    }
}

fn output_tokens(answer: &Answer) -> u64 {
    let input = answer.call.as_ref().map(|call| call.input.to_string());
    tokens::of_text(&format!("{}{}", answer.say.as_deref().unwrap_or_default(), input.unwrap_or_default()))
}

fn answered(answer: &Answer) -> String {
    let command = answer.call.as_ref().map(|call| format!("$ {}", call.command));
    [answer.say.clone(), command].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// The text if it is short, else its beginning with the number of bytes left out.
fn cut(text: &str) -> String {
    cut_at(text, ROW_TEXT)
}

fn cut_at(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… (+{} bytes)", &text[..end], text.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_the_cut_is_counted() {
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(3000);
        let shortened = cut(&long);
        assert!(shortened.starts_with(&"é".repeat(2048)) && shortened.ends_with("… (+1904 bytes)"), "{}", shortened.len());
    }
}
