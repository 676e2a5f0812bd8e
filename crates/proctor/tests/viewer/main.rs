//! The viewer over its real router, asked as a program and looked at by a real browser.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests fail by panicking and say what they skip"
)]

mod browser;
mod conversations;
mod driven;
mod steps;
mod town;

// The edge is a program, not a library; the viewer's HTTP side is complete in itself.
#[path = "../../src/view_api/mod.rs"]
mod view_api;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

/// A written run and its viewer on a port of its own.
pub(crate) struct Viewer {
    dir: TempDir,
    address: SocketAddr,
    // Ends the server when it is dropped.
    _runtime: tokio::runtime::Runtime,
}

impl Viewer {
    fn start() -> Viewer {
        let dir = tempfile::tempdir().expect("a folder for the run");
        town::write(dir.path());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = view_api::router(dir.path().to_path_buf());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Viewer { dir, address, _runtime: runtime }
    }

    fn run_dir(&self) -> &Path {
        self.dir.path()
    }

    fn ask(&self, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).expect("the viewer listens");
        let host = if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        write!(stream, "GET {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n").expect("the request is sent");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        Answer { head: head.to_lowercase(), body: body.to_owned() }
    }

    fn json(&self, path: &str) -> Value {
        let answer = self.ask(path, "");
        assert!(answer.head.starts_with("http/1.1 200"), "{path}: {}\n{}", answer.head, answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    }
}

struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

#[test]
fn the_run_has_its_lanes_in_order() {
    let viewer = Viewer::start();
    let run = viewer.json("/api/run.json");
    let ids: Vec<&str> = run["picture"]["lanes"].as_array().unwrap().iter().map(|lane| lane["id"].as_str().unwrap()).collect();
    let expected =
        ["hq-mayor", "al-furiosa", "queue:alice", "bo-nux", "queue:bob", "ev-rust", "queue:eve", "contradicted", "nobody"];
    let mut found = ids.clone();
    found[7..].sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(run["verdict"]["outcome"], "failed");
}

#[test]
fn what_nobody_can_be_named_for_is_counted_with_its_cost() {
    let viewer = Viewer::start();
    let tally = &viewer.json("/api/run.json")["picture"]["tally"];
    let nobody = &tally["unattributed"]["no agent named (claude-code)"];
    assert_eq!((nobody["count"].as_u64(), nobody["cost_usd"].as_f64()), (Some(1), Some(0.0123)));
    let contradicted: u64 = tally["contradicted"].as_object().unwrap().values().filter_map(|share| share["count"].as_u64()).sum();
    assert_eq!(contradicted, 1);
}

#[test]
fn every_event_is_told_once_and_pages_add_up() {
    let viewer = Viewer::start();
    let all = viewer.json("/api/events.json?limit=20000");
    let ids: std::collections::BTreeSet<&str> =
        all["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len() as u64, all["total"].as_u64().unwrap());
    let page = viewer.json("/api/events.json?offset=5&limit=3");
    assert_eq!(page["total"], all["total"]);
    assert_eq!(page["events"].as_array().unwrap()[..], all["events"].as_array().unwrap()[5..8]);
}

#[test]
fn arrows_join_both_ends() {
    let viewer = Viewer::start();
    let links = viewer.json("/api/links.json");
    let has = |kind: &str, from: &str, to: &str| {
        let links = links["links"].as_array().unwrap().iter();
        links.filter(|link| link["kind"] == kind && link["from"] == from && link["to"] == to).count()
    };
    assert_eq!(has("sling", "hq-mayor", "bo-nux"), 1);
    assert_eq!(has("mail", "hq-mayor", "al-furiosa"), 1);
    assert_eq!(has("nudge", "hq-mayor", "ev-rust"), 1);
    assert_eq!(has("done", "ev-rust", "queue:eve"), 1);
}

#[test]
fn an_event_tells_command_and_output() {
    let viewer = Viewer::start();
    let found = viewer.json("/api/events.json?text=python3%20alice.py&kind=tool_call");
    let id = found["events"][0]["id"].as_str().unwrap().to_owned();
    let detail = viewer.json(&format!("/api/event/{id}.json"));
    let section = |title: &str| {
        let sections = detail["sections"].as_array().unwrap().iter();
        sections.clone().find(|section| section["title"] == title).map(|section| section["text"].clone())
    };
    assert_eq!(section("Command"), Some("python3 alice.py".into()));
    assert!(section("Output, as the next request told the model").is_some());
}

#[test]
fn an_unchanged_run_is_not_sent_again_and_a_changed_one_is() {
    let viewer = Viewer::start();
    let first = viewer.ask("/api/run.json", "");
    let tag = first.head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an etag").to_owned();
    let headers = format!("If-None-Match: {tag}\r\n");
    assert_eq!(viewer.ask("/api/run.json", &headers).status(), "304");
    let mail = viewer.run_dir().join("evidence/town/mail.ndjson");
    let mut text = std::fs::read_to_string(&mail).unwrap();
    text.push_str("{\"half a line");
    std::fs::write(&mail, text).unwrap();
    let again = viewer.ask("/api/run.json", &headers);
    assert_eq!(again.status(), "200");
    assert!(again.body.contains("evidence/town/mail.ndjson:4"), "the half line is named");
}

#[test]
fn nothing_outside_the_run_is_served() {
    let viewer = Viewer::start();
    let secret = viewer.run_dir().parent().unwrap().join("secret.txt");
    std::os::unix::fs::symlink(&secret, viewer.run_dir().join("link.txt")).unwrap();
    for path in [
        "/files/../secret.txt",
        "/files/%2e%2e/secret.txt",
        "/files/evidence/..%2f..%2fsecret",
        "/files//etc/passwd",
        "/files/link.txt",
    ] {
        let answer = viewer.ask(path, "");
        assert_eq!(answer.status(), "404", "{path}: {}", answer.body);
    }
    let run = viewer.ask("/files/evidence/run.json", "");
    assert_eq!(run.status(), "200");
    assert!(run.head.contains("content-type: text/plain"), "evidence is text: {}", run.head);
    assert!(run.head.contains("sandbox"), "{}", run.head);
}

#[test]
fn other_hosts_and_unknown_parameters_are_refused() {
    let viewer = Viewer::start();
    assert_eq!(viewer.ask("/api/run.json", "Host: example.org\r\n").status(), "403");
    let answer = viewer.ask("/api/events.json?form=1", "");
    assert_eq!(answer.status(), "400");
    assert!(answer.body.contains("form"), "{}", answer.body);
    assert_eq!(viewer.ask("/api/event/x999999.json", "").status(), "404");
}

#[test]
fn a_browser_shows_lanes_and_events() {
    let viewer = Viewer::start();
    let Some(page) = browser::look(&viewer, "") else { return };
    page.holds("data-ready=\"true\"");
    page.holds("The Crypto Tales");
    page.holds("data-lane=\"ev-rust\"");
    page.holds("role=\"option\"");
    let total = viewer.json("/api/events.json")["total"].clone();
    page.holds(&format!("{total} of {total} events shown"));
    page.holds("lanes");
}

#[test]
fn a_link_chooses_the_event_of_an_agent_at_a_moment() {
    let viewer = Viewer::start();
    let Some(page) = browser::look(&viewer, "#agent=eve/rust&at=3.56") else { return };
    page.holds("data-shows=");
    page.holds("HTTP 529 (fault overloaded)");
    page.holds("aria-selected=\"true\"");
}

#[test]
fn texts_of_agents_are_never_markup() {
    let viewer = Viewer::start();
    let found = viewer.json("/api/events.json?text=alert(1)");
    let id = found["events"][0]["id"].as_str().unwrap().to_owned();
    let Some(page) = browser::look(&viewer, &format!("#sel={id}")) else { return };
    page.holds("&lt;script&gt;alert(1)&lt;/script&gt;");
    page.lacks("<script>alert(1)");
}
