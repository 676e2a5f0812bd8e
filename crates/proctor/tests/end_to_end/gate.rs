//! A named pipe in the place of a file: whoever opens it waits until the test lets it go on.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// After this long nobody will come any more. It only keeps a failing test from waiting for ever.
const PATIENCE: Duration = Duration::from_secs(120);

/// See the file's head.
pub(crate) struct Gate(PathBuf);

impl Gate {
    /// A gate in the place of `path`, which must not be there.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Waits until somebody stands at the gate: has opened it to read.
    #[track_caller]
    pub(crate) fn reached(&self) -> Held {
        let (sender, receiver) = mpsc::channel();
        let path = self.0.clone();
        std::thread::spawn(move || sender.send(OpenOptions::new().write(true).open(path)));
        match receiver.recv_timeout(PATIENCE) {
            Ok(opened) => Held(opened.unwrap()),
            Err(_) => panic!("nobody came to {}", self.0.display()),
        }
    }

    /// Takes the gate away; who stands at it still does.
    pub(crate) fn remove(&self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// Somebody stands at the gate, until this is dropped.
pub(crate) struct Held(File);

impl Held {
    /// Lets it go on with this as the file's content.
    pub(crate) fn let_go(mut self, content: &[u8]) {
        self.0.write_all(content).unwrap();
    }
}
