//! Server-sent events, as far as the Messages API uses them (WHATWG HTML, section 9.2): `event` and `data` fields, comments,
//! LF and CRLF, in chunks cut anywhere.

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
}

/// Bytes in, events out. Events without data are none.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    name: String,
    data: Vec<String>,
}

impl Parser {
    pub(crate) fn feed(&mut self, chunk: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in chunk {
            if *byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                events.extend(self.line(line.strip_suffix('\r').unwrap_or(&line)));
            } else {
                self.line.push(*byte);
            }
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.data.push(value.to_owned()),
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        (!data.is_empty()).then(|| Event { name, data: data.join("\n") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let stream =
            "event: a\ndata: é1\n\n: comment\r\nevent: b\r\ndata: 2\r\ndata:3\r\n\r\nevent: empty\n\ndata: x\n\ndata: unfinished";
        let event = |name: &str, data: &str| Event { name: name.to_owned(), data: data.to_owned() };
        let expected = [event("a", "é1"), event("b", "2\n3"), event("", "x")];
        for size in 1..=stream.len() {
            let mut parser = Parser::default();
            let events: Vec<Event> = stream.as_bytes().chunks(size).flat_map(|chunk| parser.feed(chunk)).collect();
            assert_eq!(events, expected, "chunks of {size}");
        }
    }
}
