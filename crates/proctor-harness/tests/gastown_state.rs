//! The state reader against a real Dolt server that holds recorded rows of a real town.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and a skipped one says so"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use proctor_harness::linux;
use proctor_harness::town::gastown::state::StateReader;
use proctor_judge::evidence::Time;
use serde_json::Value;

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded/gastown/end");
const BEADS: &str = "id varchar(255) PRIMARY KEY, title varchar(500), description text, status varchar(32), priority int, \
     issue_type varchar(32), assignee varchar(255), created_at datetime, created_by varchar(255), closed_at datetime, close_reason text, \
     metadata json";
const TABLES: [(&str, &str); 7] = [
    ("issues", BEADS),
    ("wisps", BEADS),
    ("labels", "issue_id varchar(255), label varchar(255), PRIMARY KEY (issue_id, label)"),
    ("wisp_labels", "issue_id varchar(255), label varchar(255), PRIMARY KEY (issue_id, label)"),
    (
        "dependencies",
        "issue_id varchar(255), depends_on_id varchar(255), type varchar(32), PRIMARY KEY (issue_id, depends_on_id)",
    ),
    ("events", "id char(36) PRIMARY KEY, issue_id varchar(255), event_type varchar(32), actor varchar(255), created_at datetime"),
    ("odds", "id int PRIMARY KEY, bytes blob, nothing text, many json"),
];

fn dolt_program() -> Option<PathBuf> {
    let named = std::env::var_os("PROCTOR_GASTOWN_BIN").map(|folder| PathBuf::from(folder).join("dolt"));
    named.filter(|file| file.is_file()).or_else(|| linux::find_program("dolt", &std::env::var("PATH").unwrap_or_default()))
}

/// A base directory with a Dolt server.
struct Server {
    base: tempfile::TempDir,
    dolt: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Server {
    fn new(dolt: PathBuf) -> Self {
        let base = tempfile::tempdir().unwrap();
        for folder in ["home/.dolt", "data", "town/mayor"] {
            fs::create_dir_all(base.path().join(folder)).unwrap();
        }
        let settings = r#"{"metrics.disabled":"true","user.name":"Probe","user.email":"probe@example.invalid"}"#;
        fs::write(base.path().join("home/.dolt/config_global.json"), settings).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { base, dolt, port, child: None }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.dolt);
        command.current_dir(self.base.path()).env_clear().env("HOME", self.base.path().join("home")).env("PATH", "/usr/bin:/bin");
        command
    }

    fn run(mut command: Command) {
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    }

    /// Runs statements: on the files when no server runs, else through it.
    fn sql(&self, statements: &str) {
        let mut command = self.command();
        match self.child {
            None => command.args(["--data-dir", "data", "sql", "-q", statements]),
            Some(_) => {
                let port = self.port.to_string();
                command.args([
                    "--host",
                    "127.0.0.1",
                    "--port",
                    &port,
                    "--user",
                    "root",
                    "--password",
                    "",
                    "--no-tls",
                    "sql",
                    "-q",
                    statements,
                ])
            }
        };
        Self::run(command);
    }

    /// Returns when the server says that it accepts connections.
    fn start(&mut self) {
        let mut command = self.command();
        let port = self.port.to_string();
        command.args(["sql-server", "--host", "127.0.0.1", "--port", &port, "--data-dir", "data"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("Server ready"));
        assert!(ready, "the server ended before it was ready");
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn list_rigs(&self, rigs: &[&str]) {
        let rigs: serde_json::Map<_, _> = rigs.iter().map(|rig| ((*rig).to_owned(), serde_json::json!({}))).collect();
        fs::write(self.base.path().join("town/mayor/rigs.json"), serde_json::json!({"version": 1, "rigs": rigs}).to_string())
            .unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn recorded(database: &str, table: &str) -> Vec<Value> {
    let file = Path::new(RECORDED).join("dolt").join(database).join(format!("{table}.ndjson"));
    fs::read_to_string(file).unwrap_or_default().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        other => format!("'{}'", other.to_string().replace('\\', "\\\\").replace('\'', "''")),
    }
}

/// A database with a town's tables and the recorded rows in those columns that the tables have.
fn database(name: &str) -> String {
    let mut statements = format!("CREATE DATABASE {name}; USE {name};");
    for (table, columns) in TABLES {
        statements += &format!("CREATE TABLE {table} ({columns});");
        for row in recorded(name, table) {
            let has = |column: &str| columns.split(", ").any(|c| c.trim().split(' ').next() == Some(column));
            let cells: Vec<(&String, &Value)> = row.as_object().unwrap().iter().filter(|(name, _)| has(name)).collect();
            let names: Vec<&str> = cells.iter().map(|(name, _)| name.as_str()).collect();
            let values: Vec<String> = cells.iter().map(|(_, value)| literal(value)).collect();
            statements += &format!("INSERT INTO {table} ({}) VALUES ({});", names.join(", "), values.join(", "));
        }
    }
    statements
}

fn at(second: i64) -> Time {
    Time::from_timestamp(second, 0).unwrap()
}

#[tokio::test]
async fn a_towns_state_is_read_from_its_dolt_server() {
    let Some(dolt) = dolt_program() else {
        println!("skipped: dolt not found");
        return;
    };
    let mut server = Server::new(dolt);
    let odd = "INSERT INTO hq.odds VALUES (1, X'FF00', NULL, '[1, {\"a\": null}]');";
    server.sql(&["hq", "alice"].map(database).concat());
    server.sql(odd);
    server.list_rigs(&["alice"]);
    server.start();

    let mut reader = StateReader::new(server.base.path(), server.port).with_clock(|| at(2_000_000_000));
    let state = reader.read().await.unwrap();
    let bead = |state: &proctor_harness::town::Snapshot, id: &str| state.beads.iter().find(|bead| bead.id == id).unwrap().clone();
    assert!(state.beads.iter().all(|bead| bead.rig.as_deref() == Some("alice")), "{:?}", state.beads);
    assert_eq!(bead(&state, "al-a1e").status, "hooked");
    assert_eq!(bead(&state, "al-bkl").closed_by.as_deref(), Some("alice/polecats/obsidian"), "the first closing counts");
    assert_eq!(state.merge_requests.len(), 1);
    assert_eq!(state.convoys[0].tracked, ["al-bkl", "bob-7om"]);
    assert!(state.mail.iter().any(|mail| mail.from == "alice/refinery" && mail.to == "alice/witness"));

    server.sql("UPDATE alice.issues SET status = 'closed', closed_at = '2020-01-01 00:00:00' WHERE id = 'al-a1e'");
    assert_eq!(bead(&reader.read().await.unwrap(), "al-a1e").closed_at, Some(at(2_000_000_000)), "the moment it was seen");

    server.sql(&database("bob"));
    server.list_rigs(&["alice", "bob"]);
    let state = reader.read().await.unwrap();
    assert_eq!(bead(&state, "bob-7om").rig.as_deref(), Some("bob"), "a rig that was added is found");
    assert_eq!(state.merge_requests.len(), 2);

    server.sql("DELETE FROM bob.wisps");
    assert_eq!(reader.read().await.unwrap().merge_requests.len(), 2, "what was seen stays in the evidence");

    server.kill();
    let halt = reader.read().await.unwrap_err();
    assert!(halt.message.contains("does not answer"), "{halt}");
    server.start();
    assert_eq!(reader.read().await.unwrap().beads.len(), state.beads.len(), "a restarted server is found again");

    let raw = server.base.path().join("raw");
    reader.dump(&raw).await.unwrap();
    let row: Value = serde_json::from_str(&fs::read_to_string(raw.join("dolt/hq/odds.ndjson")).unwrap()).unwrap();
    assert_eq!(row, serde_json::json!({"id": 1, "bytes": {"base64": "/wA="}, "nothing": null, "many": [1, {"a": null}]}));
    let issues = fs::read_to_string(raw.join("dolt/alice/issues.ndjson")).unwrap();
    assert_eq!(issues.lines().count(), recorded("alice", "issues").len());
    assert!(reader.cost().queries > 5);
}

#[tokio::test]
async fn a_server_of_another_form_is_named() {
    let Some(dolt) = dolt_program() else {
        println!("skipped: dolt not found");
        return;
    };
    let mut server = Server::new(dolt);
    server.sql("CREATE DATABASE hq; USE hq; CREATE TABLE wisp_labels (issue_id varchar(255), label varchar(255)); CREATE TABLE issues (id int)");
    server.start();
    let halt = StateReader::new(server.base.path(), server.port).read().await.unwrap_err();
    assert!(halt.message.contains("another form") && halt.hint.is_some(), "{halt}");
}

#[tokio::test]
async fn no_server_is_said_with_its_address() {
    let base = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let halt = StateReader::new(base.path(), port).read().await.unwrap_err();
    assert!(halt.message.contains(&format!("127.0.0.1:{port}")), "{halt}");
}
