//! The output of a command, kept to a limit: its beginning and its end, with the characters between them counted.

use std::collections::VecDeque;

/// See the file's head. Bytes that are no UTF-8 become U+FFFD.
#[derive(Debug)]
pub(crate) struct Window {
    half: usize,
    head: String,
    head_characters: usize,
    tail: VecDeque<char>,
    cut: u64,
    /// The first bytes of a character whose last have not arrived.
    partial: Vec<u8>,
    bytes: u64,
}

impl Window {
    /// Keeps `limit` characters: half from the beginning, half from the end.
    pub(crate) fn new(limit: usize) -> Self {
        let (head, tail, partial) = (String::new(), VecDeque::new(), Vec::new());
        Self { half: limit / 2, head, head_characters: 0, tail, cut: 0, partial, bytes: 0 }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(chunk);
        let whole = bytes.len() - unfinished(&bytes);
        String::from_utf8_lossy(&bytes[..whole]).chars().for_each(|c| self.character(c));
        self.partial = bytes.split_off(whole);
    }

    fn character(&mut self, character: char) {
        if self.head_characters < self.half {
            self.head.push(character);
            self.head_characters += 1;
            return;
        }
        self.tail.push_back(character);
        if self.tail.len() > self.half {
            self.tail.pop_front();
            self.cut += 1;
        }
    }

    /// Bytes that came, kept or not.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The text, with the number of characters left out where they were.
    pub(crate) fn finish(mut self) -> String {
        let rest = std::mem::take(&mut self.partial);
        String::from_utf8_lossy(&rest).chars().for_each(|c| self.character(c));
        if self.cut > 0 {
            self.head.push_str(&format!("\n[{} characters cut here]\n", self.cut));
        }
        self.head.extend(self.tail);
        self.head
    }
}

/// How many bytes at the end are the beginning of a character that may still be completed.
fn unfinished(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        Err(error) => {
            let after = &bytes[error.valid_up_to() + error.error_len().unwrap_or(1)..];
            unfinished(after)
        }
        Ok(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_output_is_whole_however_it_is_cut() {
        let text = "aé中🦀\n";
        for size in 1..=text.len() {
            let mut window = Window::new(100);
            text.as_bytes().chunks(size).for_each(|chunk| window.push(chunk));
            assert_eq!(window.bytes(), text.len() as u64);
            assert_eq!(window.finish(), text, "chunks of {size}");
        }
    }

    #[test]
    fn long_output_keeps_both_ends_and_counts_the_rest() {
        let mut window = Window::new(6);
        window.push("abcdéfghij".as_bytes());
        assert_eq!(window.finish(), "abc\n[4 characters cut here]\nhij");
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        let mut window = Window::new(10);
        window.push(b"a\xffb\xe4\xb8");
        assert_eq!(window.finish(), "a\u{fffd}b\u{fffd}");
    }
}
