//! The wire: streams, errors, faults, the journal, and the requests of real programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    dead_code,
    reason = "a test fails by panicking and says what it skipped; the test module is shared"
)]

mod served;

use std::fs;
use std::path::PathBuf;

use axum::http::Method;
use proctor_gateway::{Caller, Sender};
use serde_json::{Value, json};
use served::{Served, case_scripts, script};
use sha2::{Digest, Sha256};

const PLAY: &str = "schema = 1\nrole = 'mayor'\n[[turn]]\n[[turn.step]]\nsay = 'I look around, and this text is longer than one delta of the stream is: é.'\nrun = 'ls'\n[[turn.step]]\nsay = 'Done.'\n";

fn tools() -> Value {
    json!([{"name":"Bash","input_schema":{"properties":{"command":{}}}}])
}

fn request(stream: bool) -> Value {
    json!({"model":"claude-x","max_tokens":100,"stream":stream,"tools":tools(),"messages":[{"role":"user","content":"go"}]})
}

/// Event names with their data.
fn events(stream: &str) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    for event in stream.split_terminator("\n\n") {
        let (name, data) = event.split_once('\n').unwrap();
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        events.push((name, serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap()));
    }
    events
}

/// Puts a stream together as a client does.
fn assemble(events: &[(String, Value)]) -> Value {
    let mut message = events[0].1["message"].clone();
    let mut input = String::new();
    for (name, data) in events {
        let blocks = message["content"].as_array_mut().unwrap();
        match name.as_str() {
            "content_block_start" => blocks.push(data["content_block"].clone()),
            "content_block_delta" => {
                let block = blocks.last_mut().unwrap();
                let delta = &data["delta"];
                match delta["type"].as_str().unwrap() {
                    "text_delta" => {
                        block["text"] = format!("{}{}", block["text"].as_str().unwrap(), delta["text"].as_str().unwrap()).into()
                    }
                    _ => input += delta["partial_json"].as_str().unwrap(),
                }
            }
            "content_block_stop" if !input.is_empty() => {
                blocks.last_mut().unwrap()["input"] = serde_json::from_str(&input).unwrap();
                input.clear();
            }
            "message_delta" => {
                message["stop_reason"] = data["delta"]["stop_reason"].clone();
                message["usage"]["output_tokens"] = data["usage"]["output_tokens"].clone();
            }
            _ => {}
        }
    }
    message
}

#[tokio::test]
async fn a_stream_says_what_the_plain_answer_says() {
    let served = Served::new(script(PLAY), "[]");
    let plain = served.post("/a/mayor/v1/messages?beta=true", &request(false)).await;
    let stream = served.post("/a/mayor/v1/messages", &request(true)).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(
        (plain.headers["request-id"].to_str().unwrap(), stream.headers["request-id"].to_str().unwrap()),
        ("req_000001", "req_000002")
    );
    let events = events(stream.text());
    let mut names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    assert_eq!(assemble(&events), plain.json());
    for key in ["cache_read_input_tokens", "cache_creation_input_tokens"] {
        assert_eq!(plain.json()["usage"][key], 0);
    }
    assert_eq!(plain.json()["model"], "claude-x");
}

#[tokio::test]
async fn the_journal_has_every_exchange_with_its_whole_bodies() {
    let served = Served::new(script(PLAY), "[]");
    let mut told = served.gateway.exchanges();
    let body = request(true);
    let answer = served.post("/a/mayor/v1/messages", &body).await;
    let row = served.journal().pop().unwrap();
    assert_eq!(told.recv().await.unwrap(), row, "subscribers see what is on disk");
    assert_eq!((row.n, row.agent.as_str(), row.status, row.turn, row.stream), (1, "mayor", 200, 0, true));
    assert_eq!(row.request, "POST /v1/messages");
    assert_eq!(row.sha256, format!("{:x}", HexOf(&Sha256::digest(body.to_string().as_bytes()))));
    assert_eq!(row.asked, "go");
    assert!(row.answered.starts_with("I look around") && row.answered.ends_with("\n$ ls"), "{}", row.answered);
    assert_eq!((row.stop_reason.as_deref(), row.matched.as_deref()), (Some("tool_use"), Some("a.toml turn 1 step 1")));
    assert!(row.input_tokens > 0 && row.output_tokens > 0);
    let folder = served.dir.path().join("gateway").join(row.body.unwrap());
    assert_eq!(fs::read_to_string(folder.join("request.json")).unwrap(), body.to_string());
    assert_eq!(fs::read_to_string(folder.join("answer.sse")).unwrap(), answer.text());
    served.gateway.flush().unwrap();
}

struct HexOf<'a>(&'a [u8]);

impl std::fmt::LowerHex for HexOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[tokio::test]
async fn a_miss_is_an_error_that_names_the_text_and_is_kept() {
    let served = Served::new(script("schema = 1\nrole = 'mayor'\n[[turn]]\non = 'go'\n[[turn.step]]\nsay = 'x'\n"), "[]");
    let body = json!({"model":"m","messages":[{"role":"user","content":"what now?"}]});
    let got = served.post("/a/mayor/v1/messages", &body).await;
    assert_eq!((got.status, got.json()["error"]["type"].as_str()), (400, Some("invalid_request_error")));
    let misses = served.gateway.misses();
    assert_eq!(misses, served.journal());
    assert!(misses[0].miss.as_ref().unwrap().contains("\"what now?\""));
    let unnamed = served.post("/v1/messages", &request(false)).await;
    assert_eq!(unnamed.status, 400);
    assert!(served.gateway.misses()[1].miss.as_ref().unwrap().contains("names no agent"));
}

#[tokio::test]
async fn faults_hit_as_planned_and_are_named_in_the_journal() {
    let plan =
        r#"[{"name":"busy","agent":"mayor","status":529,"times":2},{"name":"cut","agent":"polecat","cut":true,"times":1}]"#;
    let served = Served::new(script(PLAY), plan);
    for expected in [529, 529, 200, 200] {
        let got = served.post("/a/mayor/v1/messages", &request(true)).await;
        assert_eq!(got.status, expected);
        if expected == 529 {
            assert_eq!(got.json()["error"]["type"], "overloaded_error");
        }
    }
    let faults: Vec<Option<String>> = served.journal().into_iter().map(|row| row.fault).collect();
    assert_eq!(faults, [Some("busy".to_owned()), Some("busy".to_owned()), None, None]);
}

#[tokio::test]
async fn a_cut_answer_begins_and_breaks() {
    let served = Served::new(script(PLAY), r#"[{"name":"cut","agent":"*","cut":true,"times":1}]"#);
    for stream in [true, false] {
        let body = json!({"stream":stream,"tools":tools(),"messages":[{"role":"user","content":format!("go {stream}")}]});
        let got = served.post("/a/mayor/v1/messages", &body).await;
        assert_eq!(got.status, 200);
        assert!(got.body.is_err(), "the connection was cut");
        assert!(served.post("/a/mayor/v1/messages", &body).await.body.is_ok(), "the second try is answered");
    }
    let row = served.journal().remove(0);
    assert_eq!(row.fault.as_deref(), Some("cut"));
    let sent = fs::read_to_string(served.dir.path().join("gateway").join(row.body.unwrap()).join("answer.sse")).unwrap();
    assert!(sent.contains("content_block_delta") && !sent.contains("message_stop"));
}

#[tokio::test]
async fn other_paths_and_methods_answer_as_a_provider_would() {
    let served = Served::new(script(PLAY), "[]");
    for path in ["/", "/api/hello", "/a/mayor/v1/messages", "/a/mayor"] {
        assert_eq!(served.ask(Method::HEAD, path, "").await.status, 200, "{path}");
    }
    assert_eq!(served.ask(Method::GET, "/health", "").await.json()["status"], "ok");
    let counted = served.post("/a/mayor/v1/messages/count_tokens?beta=true", &request(false)).await;
    assert_eq!(counted.json(), json!({"input_tokens": 3}), "user, go, Bash: 10 characters");
    assert_eq!(served.ask(Method::POST, "/a/mayor/v1/other", "{}").await.json()["error"]["type"], "not_found_error");
    let broken = served.ask(Method::POST, "/a/mayor/v1/messages", "{").await;
    assert_eq!((broken.status, broken.json()["error"]["type"].as_str()), (400, Some("invalid_request_error")));
    let rows: Vec<(String, u16)> = served.journal().into_iter().map(|row| (row.request, row.status)).collect();
    let expected = [
        ("HEAD /", 200),
        ("HEAD /api/hello", 200),
        ("HEAD /v1/messages", 200),
        ("HEAD /a/mayor", 200),
        ("GET /health", 200),
        ("POST /v1/messages/count_tokens", 200),
        ("POST /v1/other", 404),
        ("POST /v1/messages", 400),
    ];
    assert_eq!(rows, expected.map(|(request, status)| (request.to_owned(), status)), "every request has its row");
    assert!(served.gateway.misses().is_empty(), "a broken request is no missing answer");
}

/// A request in the name of a caller.
fn from(caller: Caller, body: &Value) -> axum::http::Request<axum::body::Body> {
    let mut request = axum::http::Request::post("/whatever").body(body.to_string().into()).unwrap();
    request.extensions_mut().insert(caller);
    request
}

#[tokio::test]
async fn a_request_without_the_token_of_whom_it_names_counts_for_nobody_and_says_who_sent_it() {
    let served = Served::new(script(PLAY), "[]");
    let sender = Sender { pid: 7, program: "python3".into(), agent: Some("north/polecats/rust".into()), own: Some(false) };
    let told = sender.clone();
    let caller = Caller {
        claimed: Some("mayor".into()),
        path: "/v1/messages".into(),
        sender: Some(std::sync::Arc::new(move || Some(told.clone()))),
        ..Caller::default()
    };
    let got = served.send(from(caller, &request(false))).await;
    assert_eq!((got.status, got.json()["error"]["type"].as_str()), (401, Some("authentication_error")));
    let row = served.journal().pop().unwrap();
    assert_eq!((row.agent.as_str(), row.claimed.as_deref(), row.from), ("", Some("mayor"), Some(sender)));
    assert!(served.gateway.misses().is_empty(), "it is no defect of the script");
}

#[tokio::test]
async fn strangers_fill_neither_the_disk_nor_the_journal() {
    let served = Served::new(script(PLAY), "[]");
    let stray = || Caller { claimed: Some("mayor".into()), path: "/v1/messages".into(), ..Caller::default() };
    let large = json!({"padding": "x".repeat(200_000)});
    served.send(from(stray(), &large)).await;
    let row = served.journal().pop().unwrap();
    let kept = fs::metadata(served.dir.path().join("gateway").join(row.body.unwrap()).join("request.json")).unwrap();
    assert_eq!(kept.len(), 65_536);
    for _ in 0..500 {
        served.send(from(stray(), &json!({}))).await;
    }
    assert_eq!((served.gateway.count(), served.gateway.unjournalled()), (500, [(String::new(), 1)].into()));
    assert_eq!(served.post("/a/mayor/v1/messages", &request(false)).await.status, 200, "an agent has room of its own");
}

#[tokio::test]
async fn a_journal_is_never_continued_by_another_gateway() {
    let served = Served::new(script(PLAY), "[]");
    served.post("/a/mayor/v1/messages", &request(false)).await;
    let config = proctor_gateway::Config {
        scripts: script(PLAY),
        faults: Vec::new(),
        journal_dir: served.dir.path().join("gateway"),
        clock: std::sync::Arc::new(chrono::Utc::now),
    };
    let error = proctor_gateway::Gateway::new(config).unwrap_err();
    assert!(error.to_string().contains("holds a journal already") && error.hint().is_some());
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_is_no_silent_loss() {
    let served = Served::new(script(PLAY), "[]");
    fs::remove_dir_all(served.dir.path().join("gateway/bodies")).unwrap();
    fs::write(served.dir.path().join("gateway/bodies"), "in the way").unwrap();
    let got = served.post("/a/mayor/v1/messages", &request(false)).await;
    assert_eq!((got.status, got.json()["error"]["type"].as_str()), (500, Some("api_error")));
    assert!(served.gateway.flush().is_err());
}

fn fixtures(program: &str) -> Option<Vec<(String, Value)>> {
    let root = std::env::var_os("PROCTOR_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"), PathBuf::from);
    let mut paths: Vec<_> = fs::read_dir(root.join("http").join(program)).ok()?.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &PathBuf| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    Some(paths.iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), read(path))).collect())
}

#[tokio::test]
async fn requests_of_real_programs_are_taken_and_get_their_shell_called() {
    let served = Served::new(script(PLAY), "[]");
    let programs = [
        ("claude-code-2.1.330", ""),
        ("claude-code-2.1.197", ""),
        ("claude-code-2.1.44-sdk", "count_tokens"),
        ("opencode-1.18.33", "anthropic"),
        ("pi-0.73.1", "anthropic"),
        ("qwen-code-0.24.4", "anthropic"),
        ("copilot-1.0.102", "anthropic"),
    ];
    let mut taken = 0;
    for (program, part) in programs {
        let Some(requests) = fixtures(program) else {
            println!("skipped: fixtures not found");
            return;
        };
        for (name, request) in requests.iter().filter(|(name, _)| name.contains(part)) {
            let method = Method::from_bytes(request["method"].as_str().unwrap().as_bytes()).unwrap();
            let path = request["path"]
                .as_str()
                .unwrap()
                .split_once("/v1/")
                .map_or("/".to_owned(), |(_, rest)| format!("/a/mayor/v1/{rest}"));
            let got = served.ask(method, &path, request["body"].to_string()).await;
            assert_eq!(got.status, 200, "{program} {name}: {:?}", got.body);
            taken += 1;
            let expected = match (name.contains("side"), name.contains("02")) {
                (true, _) => continue,
                (false, true) => "Done.",
                (false, false) => "\"name\":\"Bash\"",
            };
            assert!(got.text().contains(expected), "{program} {name}: {}", got.text());
        }
    }
    assert!(taken > 10);
}

#[tokio::test]
async fn side_requests_need_no_script() {
    let served = Served::new(case_scripts(), "[]");
    let schema = json!({"type":"object","properties":{"title":{"type":"string"}}});
    let title = json!({"messages":[{"role":"user","content":"name it"}],"output_config":{"format":{"type":"json_schema","schema":schema}}});
    let got = served.post("/a/mayor/v1/messages", &title).await;
    assert_eq!(got.json()["content"][0]["text"], "{\"title\":\"scripted\"}");
    let suggestion = json!({"tools":tools(),"messages":[{"role":"user","content":"[SUGGESTION MODE: …"}]});
    assert_eq!(served.post("/a/mayor/v1/messages", &suggestion).await.status, 200);
    assert!(served.gateway.misses().is_empty());
}
