//! A real browser that is told what to do, through its debugging pipe: two named pipes with JSON between NUL bytes.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Viewer;

/// A page in a browser of its own.
pub(crate) struct Driven {
    browser: Child,
    asks: File,
    answers: BufReader<File>,
    session: String,
    asked: u64,
    // Goes with the browser.
    _folder: TempDir,
}

impl Driven {
    /// The viewer's page at `hash`, in a window of that size; `None` where there is no browser.
    pub(crate) fn open(viewer: &Viewer, hash: &str, size: (u32, u32)) -> Option<Driven> {
        let folder = tempfile::tempdir().expect("a folder for the browser");
        let pipe = |name: &str| folder.path().join(name).display().to_string();
        for name in ["asks", "answers"] {
            assert!(Command::new("mkfifo").arg(pipe(name)).status().expect("mkfifo runs").success());
        }
        let flags = "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-extensions --remote-debugging-pipe";
        let start = format!(
            "command -v chromium >/dev/null || exit 127\nexec chromium {flags} --user-data-dir='{}' 3<'{}' 4>'{}'",
            pipe("profile"),
            pipe("asks"),
            pipe("answers")
        );
        let mut browser = Command::new("sh").args(["-c", &start]).stderr(Stdio::null()).spawn().expect("a shell");
        // The shell opens the first pipe when somebody else does; without a browser nobody ever would.
        let has_browser = Command::new("sh").args(["-c", "command -v chromium"]).stdout(Stdio::null()).status();
        if !has_browser.is_ok_and(|status| status.success()) {
            browser.wait().expect("the shell has ended");
            eprintln!("skipped: chromium not found");
            return None;
        }
        let asks = OpenOptions::new().write(true).open(pipe("asks")).expect("the browser reads");
        let answers = BufReader::new(File::open(pipe("answers")).expect("the browser writes"));
        let mut driven = Driven { browser, asks, answers, session: String::new(), asked: 0, _folder: folder };
        driven.begin(&format!("http://{}/{hash}", viewer.address), size);
        Some(driven)
    }

    fn begin(&mut self, url: &str, (width, height): (u32, u32)) {
        let target = self.ask("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = self.ask("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        self.session = attached["sessionId"].as_str().expect("a session").to_owned();
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        self.ask("Page.navigate", json!({ "url": url }));
        self.until("document.documentElement.dataset.ready === 'true'");
    }

    /// Loads the page anew, as it stands in the address bar.
    pub(crate) fn reload(&mut self) {
        self.eval("delete document.documentElement.dataset.ready");
        self.ask("Page.reload", json!({}));
        self.until("document.documentElement.dataset.ready === 'true'");
    }

    /// What an expression gives on the page; a promise is waited for.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.ask("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true; the page looks once a frame. A page that is being left is asked again.
    pub(crate) fn until(&mut self, expression: &str) {
        let look = format!(
            "new Promise((done) => {{ const look = () => (({expression}) ? done(true) : setTimeout(look, 20)); look(); }})"
        );
        let asked = json!({ "expression": look, "awaitPromise": true, "returnByValue": true });
        while self.ask("Runtime.evaluate", asked.clone())["result"]["value"] != true {}
    }

    fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.asks.write_all(format!("{message}\0").as_bytes()).expect("the browser reads");
        loop {
            let mut bytes = Vec::new();
            self.answers.read_until(0, &mut bytes).expect("the browser answers");
            assert!(!bytes.is_empty(), "the browser has ended");
            bytes.pop();
            let answer: Value = serde_json::from_slice(&bytes).expect("JSON");
            if answer["id"] == self.asked {
                return answer["result"].clone();
            }
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        drop(self.browser.kill());
        drop(self.browser.wait());
    }
}
