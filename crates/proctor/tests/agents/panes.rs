//! The built-in agent in a pane of the real tmux, typed to as Gas Town types: in chunks, then Escape, then Enter.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::json;

use crate::provider::{Asked, Provider, message, text};
use crate::sandbox::Sandbox;

/// Most characters that are typed at once.
const CHUNK: usize = 512;

/// A tmux server of this test's own with one pane; it ends with the test.
struct Pane {
    directory: PathBuf,
}

impl Pane {
    /// Starts the agent in a pane, with the beacon as its last argument.
    fn start(sandbox: &Sandbox, provider: &Provider, role: &str, beacon: &str) -> Self {
        let pane = Self { directory: sandbox.work().to_owned() };
        let agent = sandbox.work().join("proctor-agent");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_proctor"), &agent).unwrap();
        let variables = [
            ("ANTHROPIC_BASE_URL", provider.base_url.as_str()),
            ("ANTHROPIC_AUTH_TOKEN", "proctor"),
            ("ANTHROPIC_MODEL", "proctor-script-1"),
            ("GT_ROLE", role),
        ];
        let mut command = pane.tmux(&["-f", "/dev/null", "new-session", "-d", "-s", "al-nux", "-x", "80", "-y", "24"]);
        command.arg("-c").arg(sandbox.work());
        for (key, value) in variables {
            command.arg("-e").arg(format!("{key}={value}"));
        }
        command.arg(format!("exec {} '{beacon}'", agent.display()));
        expect_success(&command.output().unwrap());
        pane
    }

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.directory.join("tmux.sock")).args(arguments).env_remove("TMUX").env_remove("TMUX_PANE");
        command
    }

    fn keys(&self, arguments: &[&str]) {
        expect_success(&self.tmux(&["send-keys", "-t", "al-nux"]).args(arguments).output().unwrap());
    }

    /// Types a text as `gt` does.
    fn nudge(&self, text: &str) {
        let characters: Vec<char> = text.chars().collect();
        for chunk in characters.chunks(CHUNK) {
            self.keys(&["-l", "--", &chunk.iter().collect::<String>()]);
        }
        self.keys(&["Escape"]);
        self.keys(&["Enter"]);
    }

    /// Waits until the pane shows what is looked for.
    fn wait_until(&self, is_there: impl Fn(&str) -> bool) {
        loop {
            let output = self.tmux(&["capture-pane", "-p", "-t", "al-nux"]).output().unwrap();
            if is_there(&String::from_utf8_lossy(&output.stdout)) {
                return;
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]).output();
    }
}

fn expect_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn has_tmux() -> bool {
    let found = Command::new("tmux").arg("-V").output().is_ok();
    if !found {
        eprintln!("skipped: tmux not found");
    }
    found
}

fn said(asked: &Asked) -> &str {
    asked.newest()[0]["text"].as_str().unwrap()
}

#[test]
fn what_gas_town_types_into_a_pane_arrives_as_one_turn_with_all_its_bytes() {
    if !has_tmux() {
        return;
    }
    let plan = ["I listen.", "All of it.", "Short.", "Noted."].map(|words| message(&[text(words)]));
    let provider = Provider::start(plan.into());
    let sandbox = Sandbox::new();
    let pane = Pane::start(&sandbox, &provider, "mayor", "[GAS TOWN] mayor <- human");
    assert_eq!(said(&provider.asked.recv().unwrap()), "[GAS TOWN] mayor <- human");

    // Chunks of it end in newlines, and it is longer than a terminal's line.
    let line = format!("{}é\n", "x".repeat(510));
    let long = format!(
        "[from overseer] {}\n# End\n```sh\necho \"$HOME\" 'a' \\ ; | & <b>\n```\n{}",
        line.repeat(40),
        "word ".repeat(200)
    );
    pane.nudge(&long);
    assert_eq!(said(&provider.asked.recv().unwrap()), long, "one turn");
    pane.nudge("[from alice/refinery] short");
    assert_eq!(said(&provider.asked.recv().unwrap()), "[from alice/refinery] short", "the next turn is the next text");
    // A bracketed paste keeps its returns, and an Enter too many is no text.
    pane.keys(&["Enter"]);
    pane.keys(&["-l", "--", "\u{1b}[200~pasted\r\nlines\u{1b}[201~"]);
    pane.keys(&["Enter"]);
    let last = provider.asked.recv().unwrap();
    assert_eq!(said(&last), "pasted\n\nlines");
    assert_eq!(last.body["messages"].as_array().unwrap().len(), 7, "four texts and three answers");
}

#[test]
fn the_prompt_sign_is_there_at_once_and_again_after_each_turn() {
    if !has_tmux() {
        return;
    }
    // The first request is not answered until the test ends: the sign must not depend on it.
    let silent = Provider::start(Vec::new());
    let sandbox = Sandbox::new();
    let pane = Pane::start(&sandbox, &silent, "alice/witness", "[GAS TOWN] witness");
    silent.asked.recv().unwrap();
    pane.wait_until(|shown| shown.lines().any(|line| line.trim() == "❯"));

    let provider = Provider::start([message(&[text("one")]), message(&[text("two")])].into());
    let sandbox = Sandbox::new();
    let pane = Pane::start(&sandbox, &provider, "alice/witness", "[GAS TOWN] witness");
    provider.asked.recv().unwrap();
    pane.nudge("again");
    provider.asked.recv().unwrap();
    pane.wait_until(|shown| shown.contains("● two") && shown.trim_end().ends_with('❯'));
}

#[test]
fn a_polecat_leaves_its_pane_when_its_work_is_handed_in() {
    if !has_tmux() {
        return;
    }
    let handing_in = "mkdir bin; printf 'exit 0' > bin/gt; chmod +x bin/gt; PATH=$PWD/bin:$PATH\ngt done";
    let call = json!({"type":"tool_use","id":"t","name":"Bash","input":{"command":handing_in}});
    let provider = Provider::start([message(&[call]), message(&[text("Handed in.")])].into());
    let sandbox = Sandbox::new();
    let pane = Pane::start(&sandbox, &provider, "alice/polecats/nux", "[GAS TOWN] polecat nux");
    provider.asked.recv().unwrap();
    provider.asked.recv().unwrap();
    // The server ends with its last session.
    while pane.tmux(&["has-session", "-t", "al-nux"]).output().unwrap().status.success() {
        std::thread::yield_now();
    }
    assert!(sandbox.work().join("bin/gt").exists());
}
