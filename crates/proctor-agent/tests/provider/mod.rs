//! A provider for tests: answers each request with the next planned reply, and tells what was asked.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// One planned reply: everything after the request, as it goes over the wire.
pub(crate) type Reply = Vec<u8>;

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: String,
    pub(crate) body: Value,
}

impl Asked {
    /// The newest message's content.
    pub(crate) fn newest(&self) -> &Value {
        let messages = self.body["messages"].as_array().expect("messages");
        &messages.last().expect("a message")["content"]
    }
}

pub(crate) struct Provider {
    pub(crate) base_url: String,
    pub(crate) asked: Receiver<Asked>,
}

impl Provider {
    /// Listens; a request beyond the plan gets no reply until the test ends.
    pub(crate) fn start(plan: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base_url = format!("http://{}/a/mayor", listener.local_addr().expect("an address"));
        let (sender, asked) = mpsc::channel();
        let plan = Arc::new(Mutex::new(VecDeque::from(plan)));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, plan) = (sender.clone(), plan.clone());
                thread::spawn(move || serve(stream, &sender, &plan));
            }
        });
        Self { base_url, asked }
    }
}

fn serve(mut stream: TcpStream, asked: &Sender<Asked>, plan: &Mutex<VecDeque<Reply>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let Some(request) = read_request(&mut reader) else { return };
    let reply = plan.lock().expect("the plan").pop_front();
    let _ = asked.send(request);
    // Every reply closes its connection, so that a cut one looks cut.
    match reply {
        Some(reply) => stream.write_all(&reply).expect("the reply is taken"),
        None => thread::park(),
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Asked> {
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).ok()? > 2 {
        head.push_str(&std::mem::take(&mut line));
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    Some(Asked { path, headers: head, body: serde_json::from_slice(&body).ok()? })
}

/// A whole reply.
pub(crate) fn reply(status: u16, headers: &str, body: &str) -> Reply {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

pub(crate) fn error(status: u16, kind: &str, message: &str) -> Reply {
    let body = json!({"type":"error","error":{"type":kind,"message":message}});
    reply(status, "content-type: application/json\r\nrequest-id: req_error\r\n", &body.to_string())
}

/// A streamed message with these blocks.
pub(crate) fn message(blocks: &[Value]) -> Reply {
    reply(200, "content-type: text/event-stream\r\nrequest-id: req_1\r\n", &stream(blocks))
}

/// The same, whose connection ends after its first half.
pub(crate) fn cut_message(blocks: &[Value]) -> Reply {
    let whole = message(blocks);
    whole[..whole.len() / 2].to_vec()
}

fn stream(blocks: &[Value]) -> String {
    let mut events = vec![json!({"type":"message_start","message":{"usage":{"input_tokens":100,"output_tokens":1}}})];
    for (index, block) in blocks.iter().enumerate() {
        let (start, delta) = if block["type"] == "text" {
            (json!({"type":"text","text":""}), json!({"type":"text_delta","text":block["text"]}))
        } else {
            let delta = json!({"type":"input_json_delta","partial_json":block["input"].to_string()});
            (json!({"type":"tool_use","id":block["id"],"name":block["name"],"input":{}}), delta)
        };
        events.push(json!({"type":"content_block_start","index":index,"content_block":start}));
        events.push(json!({"type":"content_block_delta","index":index,"delta":delta}));
        events.push(json!({"type":"content_block_stop","index":index}));
    }
    let calls = blocks.iter().any(|block| block["type"] == "tool_use");
    let reason = if calls { "tool_use" } else { "end_turn" };
    events.push(json!({"type":"message_delta","delta":{"stop_reason":reason},"usage":{"output_tokens":10}}));
    events.push(json!({"type":"message_stop"}));
    events.iter().map(|data| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())).collect()
}

pub(crate) fn text(text: &str) -> Value {
    json!({"type":"text","text":text})
}

pub(crate) fn bash(id: &str, command: &str) -> Value {
    json!({"type":"tool_use","id":id,"name":"Bash","input":{"command":command}})
}
