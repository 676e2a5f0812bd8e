//! What is typed into the terminal, cut into texts.
//!
//! Enter is CR and ends a text wherever it stands; LF belongs to the text. For writers that send LF as Enter, an LF that is the
//! last of all input for [`QUIET`] ends a text too, unless [`LineFeed`] says otherwise: a long text arrives in chunks, and one
//! may end in an LF by chance. Bracketed pastes are taken whole; an Escape key outside of them is no part of a text, because
//! towns press it before Enter. `^D` on an empty line ends the input.

use std::io::{ErrorKind, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// How long nothing may follow an LF for it to be an Enter.
const QUIET: Duration = Duration::from_millis(150);

const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// What an LF means that nothing follows for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineFeed {
    /// The writer's Enter.
    CanBeEnter,
    /// A part of the text: however slowly the rest of it arrives, it is one text.
    NeverEnter,
}

/// Reads `input` until it ends; `on_text` is told each text, `on_end` the end. Returns at once.
pub(crate) fn read_texts(
    mut input: impl Read + Send + 'static,
    line_feed: LineFeed,
    on_text: impl Fn(String) + Send + 'static,
    on_end: impl FnOnce() + Send + 'static,
) {
    let (sender, chunks) = mpsc::channel();
    thread::spawn(move || read_chunks(&mut input, &sender));
    thread::spawn(move || {
        cut_texts(&chunks, line_feed, &on_text);
        on_end();
    });
}

fn read_chunks(input: &mut impl Read, chunks: &Sender<Vec<u8>>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) if chunks.send(buffer[..length].to_vec()).is_err() => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // A terminal whose other side is gone.
            Err(_) => return,
        }
    }
}

fn cut_texts(chunks: &Receiver<Vec<u8>>, line_feed: LineFeed, on_text: &impl Fn(String)) {
    let mut splitter = Splitter::default();
    while !splitter.ended {
        let received = match patience(line_feed, &splitter) {
            Some(patience) => chunks.recv_timeout(patience),
            None => chunks.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(chunk) => splitter.feed(&chunk).into_iter().for_each(on_text),
            Err(RecvTimeoutError::Timeout) => splitter.finish().into_iter().for_each(on_text),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    splitter.finish().into_iter().for_each(on_text);
}

/// How long to wait for more before the text so far is one; none: until it is ended.
fn patience(line_feed: LineFeed, splitter: &Splitter) -> Option<Duration> {
    (line_feed == LineFeed::CanBeEnter && splitter.ends_in_newline()).then_some(QUIET)
}

/// Bytes in, texts out.
#[derive(Debug, Default)]
struct Splitter {
    pending: Vec<u8>,
    pasting: bool,
    /// Where in `pending` an Escape stands that may yet begin a paste mark.
    escape: Option<usize>,
    /// The byte before was the CR that ended a text: an LF now belongs to it.
    after_cr: bool,
    ended: bool,
}

impl Splitter {
    fn feed(&mut self, chunk: &[u8]) -> Vec<String> {
        chunk.iter().filter_map(|byte| self.byte(*byte)).collect()
    }

    fn byte(&mut self, byte: u8) -> Option<String> {
        if self.ended {
            return None;
        }
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r' && !self.pasting);
        match byte {
            b'\r' if !self.pasting => return self.finish(),
            b'\r' => self.pending.push(b'\n'),
            b'\n' if after_cr => {}
            0x04 if !self.pasting => self.ended |= self.pending.is_empty(),
            0x08 | 0x7f if !self.pasting => self.delete(),
            0x1b if !self.pasting => self.escape_key(),
            _ => self.pending.push(byte),
        }
        self.paste_marks();
        None
    }

    fn paste_marks(&mut self) {
        for (mark, pasting) in [(PASTE_BEGINS, true), (PASTE_ENDS, false)] {
            if self.pending.ends_with(mark) {
                self.pending.truncate(self.pending.len() - mark.len());
                self.pasting = pasting;
            }
        }
        let begins_a_mark = |rest: &[u8]| PASTE_BEGINS.starts_with(rest) || PASTE_ENDS.starts_with(rest);
        if self.escape.is_some_and(|at| self.pending.get(at..).is_none_or(|rest| !rest.is_empty() && !begins_a_mark(rest))) {
            self.drop_escape();
        }
    }

    fn escape_key(&mut self) {
        self.drop_escape();
        self.escape = Some(self.pending.len());
        self.pending.push(0x1b);
    }

    /// Takes an Escape out of the text that turned out to be just the key.
    fn drop_escape(&mut self) {
        if let Some(at) = self.escape.take().filter(|at| self.pending.get(*at) == Some(&0x1b)) {
            self.pending.remove(at);
        }
    }

    /// Takes back the last character, whose bytes may be several.
    fn delete(&mut self) {
        while let Some(byte) = self.pending.pop() {
            if byte & 0b1100_0000 != 0b1000_0000 {
                break;
            }
        }
    }

    fn ends_in_newline(&self) -> bool {
        !self.pasting && self.pending.ends_with(b"\n")
    }

    /// The text so far; none when it is blank.
    fn finish(&mut self) -> Option<String> {
        self.drop_escape();
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.pending)).trim_matches('\n').to_owned();
        (!text.trim().is_empty()).then_some(text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut texts: Vec<String> = chunks.iter().flat_map(|chunk| splitter.feed(chunk)).collect();
        texts.extend(splitter.finish());
        texts
    }

    fn read_all(input: impl Read + Send + 'static) -> Vec<String> {
        let (sender, texts) = mpsc::channel();
        let ended = sender.clone();
        read_texts(input, LineFeed::CanBeEnter, move |text| sender.send(Some(text)).unwrap(), move || ended.send(None).unwrap());
        texts.iter().map_while(|text| text).collect()
    }

    #[test]
    fn enter_ends_a_text_and_newlines_belong_to_it() {
        assert_eq!(split(&[b"one\ntwo\n\nthree\r"]), ["one\ntwo\n\nthree"]);
        assert_eq!(split(&[b"one\rtwo\r\nthree\r"]), ["one", "two", "three"]);
        assert_eq!(split(&[b"\r\r  \r\n"]), Vec::<String>::new());
    }

    #[test]
    fn a_text_in_any_chunks_is_one_text() {
        let text = "line é — 中\n".repeat(2000);
        let mut typed = text.clone().into_bytes();
        typed.push(b'\r');
        for size in [1, 7, 512, 4095, 4096] {
            let chunks: Vec<&[u8]> = typed.chunks(size).collect();
            assert_eq!(split(&chunks), [text.trim_end_matches('\n')], "chunks of {size}");
        }
    }

    #[test]
    fn a_bracketed_paste_keeps_its_returns() {
        assert_eq!(split(&[b"\x1b[20", b"0~a\r\nb\rc\x1b[201", b"~\r"]), ["a\n\nb\nc"]);
    }

    #[test]
    fn the_escape_key_is_no_part_of_a_text() {
        assert_eq!(split(&[b"one\x1b", b"\r"]), ["one"]);
        assert_eq!(split(&[b"one\x1b\r\x1b\r[from x] two\x1b\r"]), ["one", "[from x] two"]);
        assert_eq!(split(&[b"one\x1b[from x] two\x1b\x1b\r"]), ["one[from x] two"], "what follows it is not eaten");
        assert_eq!(split(&[b"\x1b[200~a\x1bb\x1b[201~c\x1b\r"]), ["a\x1bbc"], "a paste is taken whole");
    }

    #[test]
    fn where_enter_is_never_a_newline_a_text_may_stop_at_one() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.feed(b"one\n"), Vec::<String>::new());
        assert_eq!(patience(LineFeed::CanBeEnter, &splitter), Some(QUIET));
        assert_eq!(patience(LineFeed::NeverEnter, &splitter), None);
        assert_eq!(splitter.feed(b"two\x1b\r"), ["one\ntwo"]);
    }

    #[test]
    fn typing_can_be_taken_back() {
        assert_eq!(split(&["aé\x7f\x7fb\r".as_bytes()]), ["b"]);
        assert_eq!(split(&[b"\x7f\x7fx\r"]), ["x"]);
    }

    #[test]
    fn the_end_of_input_ends_the_last_text() {
        assert_eq!(read_all(Cursor::new("first\rlast\n")), ["first", "last"]);
        assert_eq!(read_all(Cursor::new("only")), ["only"]);
        assert_eq!(read_all(Cursor::new("")), Vec::<String>::new());
        assert_eq!(read_all(Cursor::new("a\r\x04never\r")), ["a"]);
    }

    #[test]
    fn a_newline_is_an_enter_when_nothing_follows() {
        let (mut writer, reader) = std::io::pipe().map(|(r, w)| (w, r)).unwrap();
        let (sender, texts) = mpsc::channel();
        read_texts(reader, LineFeed::CanBeEnter, move |text| sender.send(text).unwrap(), || {});
        std::io::Write::write_all(&mut writer, b"one\ntwo\n").unwrap();
        assert_eq!(texts.recv().unwrap(), "one\ntwo", "the pipe is still open");
    }
}
