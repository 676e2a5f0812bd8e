//! Real git against the server.
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use proctor_harness::landed::git::Git;
use proctor_harness::launch::{token, with_credentials};
use proctor_harness::origins::{Forge, OriginsSpec};
use proctor_judge::evidence::{Push, PushKind};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::super::listener::Listener;
use super::open;

const SECRET: &str = "secret";
const WORKER: &str = "bob/polecats/rust";

struct World {
    root: tempfile::TempDir,
    url: String,
    pushes: UnboundedReceiver<Push>,
    _listener: Listener,
}

impl World {
    async fn new(may_create: bool) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["origins", "own", "home"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("home/.gitconfig"), "[user]\n\tname = A\n\temail = a@b\n").unwrap();
        let spec = OriginsSpec {
            folder: root.path().join("origins"),
            scratch: root.path().join("own"),
            secret: SECRET.into(),
            git: Git::own("git".into(), &root.path().join("own")),
            may_create,
            clock: Arc::new(chrono::Utc::now),
        };
        let (log, pushes) = unbounded_channel();
        let listener = open(Forge::new(spec).await.unwrap(), log, Arc::default()).await.unwrap();
        Self { root, url: listener.url(), pushes, _listener: listener }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn origin(&self) -> String {
        format!("{}/bob.git", self.url)
    }

    fn env(&self, agent: &str, token: &str) -> BTreeMap<String, String> {
        let mut env = BTreeMap::from([
            ("HOME".to_owned(), self.path("home").display().to_string()),
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned()),
        ]);
        with_credentials(&mut env, &self.url, agent, token);
        env
    }

    fn command(&self, agent: &str, at: &str, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(args).current_dir(self.path(at)).env_clear().envs(self.env(agent, &token(SECRET, agent)));
        command
    }

    fn git_as(&self, agent: &str, at: &str, args: &[&str]) -> Output {
        self.command(agent, at, args).output().unwrap()
    }

    #[track_caller]
    fn git(&self, at: &str, args: &[&str]) -> String {
        let out = self.git_as(WORKER, at, args);
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// A repository `work` with one commit, not pushed yet.
    fn begin(&self) -> String {
        self.git("home", &["init", "-q", "-b", "main", "../work"]);
        self.git("work", &["remote", "add", "origin", &self.origin()]);
        self.commit("one")
    }

    fn commit(&self, name: &str) -> String {
        fs::write(self.path("work").join(name), name).unwrap();
        self.git("work", &["add", "-A"]);
        self.git("work", &["commit", "-qm", name]);
        self.git("work", &["rev-parse", "HEAD"])
    }

    fn rows(&mut self) -> Vec<Push> {
        std::iter::from_fn(|| self.pushes.try_recv().ok()).collect()
    }

    fn kinds(&mut self) -> Vec<(PushKind, String)> {
        self.rows().into_iter().map(|push| (push.kind, push.refname)).collect()
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap()
    }

    /// Sends a request as it stands and gives the first line of the answer.
    fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // A server that waits for more of a request ends the test instead of hanging it.
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        let mut answer = Vec::new();
        // A connection that is closed at once, even before all was sent, is an answer too.
        _ = stream.write_all(request).and_then(|()| stream.read_to_end(&mut answer));
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }

    /// The head of a push by the worker.
    fn head(&self, more: &str) -> String {
        let value = self.env(WORKER, &token(SECRET, WORKER))["GIT_CONFIG_VALUE_0"].clone();
        let kind = "content-type: application/x-git-receive-pack-request";
        format!("POST /bob.git/git-receive-pack HTTP/1.1\r\nhost: x\r\n{value}\r\n{kind}\r\n{more}\r\n\r\n")
    }
}

fn main_of(kind: PushKind) -> (PushKind, String) {
    (kind, "refs/heads/main".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_ref_is_in_the_log_with_who_made_it() {
    let mut world = World::new(true).await;
    let one = world.begin();
    world.git("work", &["push", "-q", "origin", "main"]);
    let rows = world.rows();
    let made: Vec<PushKind> = rows.iter().map(|row| row.kind).collect();
    assert_eq!(made, [PushKind::Repository, PushKind::Created]);
    assert!(rows.iter().all(|row| row.agent == WORKER && row.rig == "bob" && row.address.starts_with("127.0.0.1:")));
    assert_eq!((rows[1].from.as_deref(), rows[1].to.as_deref()), (None, Some(one.as_str())));

    let two = world.commit("two");
    world.git("work", &["push", "-q", "origin", "main", "main:work"]);
    assert_eq!(world.kinds(), [main_of(PushKind::Updated), (PushKind::Created, "refs/heads/work".into())]);
    world.git("work", &["push", "-q", "--force", "origin", &format!("{one}:main"), ":work"]);
    let rows = world.rows();
    assert_eq!((rows[0].kind, rows[0].from.as_deref(), rows[0].to.as_deref()), (PushKind::Rewound, Some(&*two), Some(&*one)));
    assert_eq!((rows[1].kind, rows[1].from.as_deref(), rows[1].to.as_deref()), (PushKind::Deleted, Some(&*two), None));

    world.git("home", &["clone", "-q", &world.origin(), "../clone"]);
    assert_eq!(world.git("clone", &["rev-parse", "HEAD"]), one);
    assert!(world.rows().is_empty(), "to fetch is no push");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_token_of_an_agent_may_fetch_and_not_push() {
    let mut world = World::new(true).await;
    let one = world.begin();
    world.git("work", &["push", "-q", "origin", "main"]);
    world.rows();
    world.commit("two");
    let wrong = {
        let mut command = world.command(WORKER, "work", &["push", "origin", "main"]);
        command.env_clear().envs(world.env(WORKER, &token(SECRET, "eve/polecats/nux"))).output().unwrap()
    };
    let town = world.git_as("town", "work", &["push", "origin", "main"]);
    let nobody = {
        let mut command = world.command(WORKER, "work", &["push", "origin", "main"]);
        command.env_remove("GIT_CONFIG_COUNT").output().unwrap()
    };
    for out in [wrong, town, nobody] {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && said.contains("not allowed to push to bob.git"), "{said}");
    }
    let rows = world.rows();
    let told: Vec<(&str, PushKind)> = rows.iter().map(|row| (row.agent.as_str(), row.kind)).collect();
    assert_eq!(told, [(WORKER, PushKind::Refused), ("town", PushKind::Refused), ("", PushKind::Refused)]);
    assert!(rows[0].refused.as_deref().unwrap().contains("is not that of `bob/polecats/rust`"), "{:?}", rows[0]);
    let out = world.git_as("town", "home", &["clone", "-q", &world.origin(), "../clone"]);
    assert!(out.status.success());
    assert_eq!(world.git("clone", &["rev-parse", "HEAD"]), one);
    // No other way leads to a push.
    let body = "content-length: 4\r\n\r\n0000";
    assert!(world.raw(format!("POST /bob.git/git-receive-pack HTTP/1.1\r\nhost: x\r\n{body}").as_bytes()).contains(" 403 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_that_is_not_there_is_only_made_where_that_is_allowed() {
    let mut world = World::new(false).await;
    world.begin();
    let out = world.git_as(WORKER, "work", &["push", "origin", "main"]);
    assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("there is no repository bob.git"));
    assert!(world.rows().is_empty() && fs::read_dir(world.path("origins")).unwrap().next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_push_and_a_packed_question_come_through() {
    let mut world = World::new(true).await;
    world.begin();
    let mut noise = vec![0; 50 << 20];
    getrandom::fill(&mut noise).unwrap();
    fs::write(world.path("work/noise"), &noise).unwrap();
    world.commit("large");
    world.git("work", &["push", "-q", "origin", "main"]);
    assert_eq!(world.kinds().len(), 2);
    world.git("home", &["clone", "-q", &world.origin(), "../clone"]);
    assert!(fs::read(world.path("clone/noise")).unwrap() == noise);
    // A question of more than a kilobyte is packed with gzip: so it is with many branches that the origin does not have.
    world.git("work", &["commit", "-q", "--allow-empty", "-m", "later"]);
    world.git("work", &["push", "-q", "origin", "main"]);
    let script = "for n in $(seq 200); do git update-ref refs/heads/b$n $(git commit-tree -m $n HEAD^{tree}); done";
    let mut sh = Command::new("sh");
    sh.args(["-c", script]).current_dir(world.path("clone")).env_clear().envs(world.env("a", "b"));
    assert!(sh.status().unwrap().success());
    world.git("clone", &["-c", "protocol.version=0", "fetch", "-q", "origin"]);
    assert_eq!(world.git("clone", &["rev-parse", "origin/main"]), world.git("work", &["rev-parse", "main"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pushes_at_once_are_two_entries_in_turn() {
    let mut world = World::new(true).await;
    world.begin();
    world.git("work", &["push", "-q", "origin", "main"]);
    world.rows();
    world.commit("two");
    let mut running: Vec<_> = (0..4)
        .map(|n| world.command(WORKER, "work", &["push", "-q", "origin", &format!("main:b{n}")]).spawn().unwrap())
        .collect();
    assert!(running.iter_mut().all(|push| push.wait().unwrap().success()));
    let mut kinds = world.kinds();
    kinds.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(kinds, (0..4).map(|n| (PushKind::Created, format!("refs/heads/b{n}"))).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_stalls_or_breaks_off_changes_nothing_and_keeps_nobody_waiting() {
    let mut world = World::new(true).await;
    world.begin();
    world.git("work", &["push", "-q", "origin", "main"]);
    let mut stalled = world.connect();
    stalled.write_all(format!("{}0000", world.head("content-length: 100000")).as_bytes()).unwrap();
    let mut broken = world.connect();
    broken.write_all(format!("{}ff\r\n0000", world.head("transfer-encoding: chunked")).as_bytes()).unwrap();
    drop(broken);
    world.rows();
    world.commit("two");
    world.git("work", &["push", "-q", "origin", "main"]);
    assert_eq!(world.kinds(), [main_of(PushKind::Updated)]);
    drop(stalled);
    world.git("work", &["ls-remote", "--exit-code", "origin", "main"]);
    assert!(world.rows().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_no_sense_are_refused_and_the_server_goes_on() {
    let mut world = World::new(true).await;
    world.begin();
    world.git("work", &["push", "-q", "origin", "main"]);
    world.rows();
    fs::create_dir(world.path("secret.git")).unwrap();
    for path in [
        "/../secret.git/info/refs?service=git-upload-pack",
        "/bob.git/../../secret.git/info/refs?service=git-upload-pack",
        "/%2e%2e/secret.git/info/refs?service=git-upload-pack",
        "/bob.git/config",
        "/bob.git/objects/info/packs",
        "//bob.git/info/refs?service=git-upload-pack",
    ] {
        let line = world.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes());
        assert!(line.contains(" 404 "), "{path}: {line}");
    }
    let long = format!("GET /{}.git/info/refs HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(200_000));
    assert!(!world.raw(long.as_bytes()).contains(" 200 "));
    for rubbish in ["\0\u{1}\u{2}\r\n\r\n", "GET\r\n\r\n", "POST /bob.git/git-receive-pack HTTP/9.9\r\n\r\n"] {
        assert!(!world.raw(rubbish.as_bytes()).contains(" 200 "));
    }
    for body in ["0009done", "zzzzPACK", "00a00000000000000000000000000000000000000000 x"] {
        world.raw(format!("{}{body}", world.head(&format!("content-length: {}\r\nconnection: close", body.len()))).as_bytes());
    }
    assert!(world.rows().is_empty());
    world.git("work", &["ls-remote", "--exit-code", "origin", "main"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_no_git_makes_do_not_come_in() {
    let mut world = World::new(true).await;
    world.begin();
    world.git("work", &["push", "-q", "origin", "main"]);
    world.rows();
    let blob = world.git("work", &["rev-parse", "HEAD:one"]);
    let id: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&blob[2 * at..2 * at + 2], 16).unwrap()).collect();
    fs::write(world.path("tree"), [b"100644 .git\0", id.as_slice()].concat()).unwrap();
    let tree = world.git("work", &["hash-object", "-w", "-t", "tree", "--literally", "../tree"]);
    let commit = world.git("work", &["commit-tree", &tree, "-m", "odd"]);
    let out = world.git_as(WORKER, "work", &["push", "origin", &format!("{commit}:refs/heads/odd")]);
    assert!(!out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let rows = world.rows();
    assert_eq!((rows.len(), rows[0].kind, rows[0].refname.as_str()), (1, PushKind::Refused, "refs/heads/odd"));
    assert!(rows[0].agent == WORKER && rows[0].refused.as_deref().unwrap().starts_with("git refused it: "), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_refs_are_refs_and_nothing_more() {
    let mut world = World::new(true).await;
    world.begin();
    let replaced = world.git("work", &["rev-parse", "HEAD:one"]);
    let refs = [format!("HEAD:refs/replace/{replaced}"), "HEAD:refs/heads/main".into(), "HEAD:refs/odd/x".into()];
    world.git("work", &["push", "-q", "origin", &refs[0], &refs[1], &refs[2]]);
    let names: Vec<String> =
        world.rows().into_iter().filter(|row| row.kind == PushKind::Created).map(|row| row.refname).collect();
    assert_eq!(names, ["refs/heads/main".to_owned(), "refs/odd/x".into(), format!("refs/replace/{replaced}")]);
    for ambiguous in ["refs/heads/refs/heads/main", "refs/tags/main"] {
        assert!(!world.git_as(WORKER, "work", &["push", "-q", "origin", &format!("HEAD:{ambiguous}")]).status.success());
        let rows = world.rows();
        assert_eq!((rows.len(), rows[0].kind, rows[0].refname.as_str()), (1, PushKind::Refused, ambiguous));
    }
    world.commit("two");
    world.git("work", &["push", "-q", "origin", "HEAD:main"]);
    world.git("work", &["push", "-q", "origin", "HEAD:refs/heads/main"]);
    let (origin, own) = (world.path("origins/bob.git"), world.path("own"));
    let git = Git::own("git".into(), &own);
    let read = git.run(Path::new(&origin), &["cat-file", "blob", "main:one"]).await.unwrap();
    assert_eq!(read, "one", "a replacement is not followed");
}
