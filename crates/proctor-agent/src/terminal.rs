//! The terminal's mode: input arrives byte by byte, unchanged and unlimited, while output and ^C stay as they are.
//!
//! A terminal in its ordinary line mode cuts lines at 4095 bytes and turns CR into LF, which would break long nudges and
//! make Enter look like a pasted newline.

use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{self, InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios};

/// Why the terminal's mode could not be set.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// The system refused.
    #[error("cannot set the terminal's mode: {0}")]
    Mode(#[from] std::io::Error),
}

impl From<rustix::io::Errno> for TerminalError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Mode(errno.into())
    }
}

/// The mode set; dropping it restores the one before.
#[derive(Debug)]
pub struct RawMode {
    terminal: OwnedFd,
    before: Termios,
}

impl RawMode {
    /// Sets the mode on a terminal; `None` when `fd` is not one.
    ///
    /// # Errors
    /// When the terminal refuses.
    pub fn set(fd: impl AsFd) -> Result<Option<Self>, TerminalError> {
        if !termios::isatty(&fd) {
            return Ok(None);
        }
        let terminal = fd.as_fd().try_clone_to_owned()?;
        let before = termios::tcgetattr(&terminal)?;
        let mut mode = before.clone();
        mode.input_modes -= InputModes::ICRNL | InputModes::INLCR | InputModes::IGNCR | InputModes::IXON | InputModes::ISTRIP;
        mode.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN;
        mode.special_codes[SpecialCodeIndex::VMIN] = 1;
        mode.special_codes[SpecialCodeIndex::VTIME] = 0;
        termios::tcsetattr(&terminal, OptionalActions::Now, &mode)?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone already; then there is nothing to restore.
        let _ = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
