//! A page as a real browser shows it.

use std::process::Command;

use crate::Viewer;

/// What the browser made of the page.
pub(crate) struct Page {
    dom: String,
}

impl Page {
    pub(crate) fn holds(&self, text: &str) {
        assert!(self.dom.contains(text), "the page lacks {text:?}:\n{}", self.dom);
    }

    pub(crate) fn lacks(&self, text: &str) {
        assert!(!self.dom.contains(text), "the page holds {text:?}");
    }
}

/// The viewer's page after its scripts have run; `None` where there is no browser.
///
/// An error or warning on the page's console, such as a script error or a blocked resource, fails the test.
pub(crate) fn look(viewer: &Viewer, hash: &str) -> Option<Page> {
    let profile = tempfile::tempdir().expect("a folder for the browser");
    let mut command = Command::new("chromium");
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"]);
    // Virtual time runs on only while nothing is loading, so that this waits for the page and not for a clock.
    command.args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom", "--window-size=1400,900"]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(format!("http://{}/{hash}", viewer.address));
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: chromium not found");
            return None;
        }
        Err(error) => panic!("chromium: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let console: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "the page's console: {console:#?}");
    Some(Page { dom: String::from_utf8_lossy(&output.stdout).into_owned() })
}
