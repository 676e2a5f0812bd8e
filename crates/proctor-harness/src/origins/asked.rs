//! What a request asks for: one of the three paths that git's smart HTTP has. Anything else is not there.

/// What a push asks for of one ref: its name, what it points to, what it shall point to.
pub(super) type Command = (String, Option<String>, Option<String>);
/// All that a push asks for.
pub type Commands = Vec<Command>;

/// Reads what a push asks for from the beginning of its body, as far as it is there: packet lines `<old> <new> <ref>`, the first with the
/// client's abilities behind a zero byte. Of a packed body nothing is known.
pub fn commands(body: &[u8]) -> Commands {
    let mut found = Vec::new();
    let mut rest = body;
    while let Some(length) = rest.get(..4).and_then(|digits| usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()) {
        let Some(line) = rest.get(4..length) else { break };
        rest = &rest[length..];
        let text = String::from_utf8_lossy(line.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
        let mut words = text.trim_end().splitn(3, ' ');
        if let (Some(old), Some(new), Some(refname)) = (words.next(), words.next(), words.next()) {
            let id = |id: &str| (!id.bytes().all(|digit| digit == b'0')).then(|| id.to_owned());
            found.push((refname.to_owned(), id(old), id(new)));
        }
    }
    found
}

/// Which way objects go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pack {
    /// To whoever fetches.
    Upload,
    /// From whoever pushes.
    Receive,
}

impl Pack {
    /// As paths and queries name it.
    pub fn service(self) -> &'static str {
        match self {
            Self::Upload => "git-upload-pack",
            Self::Receive => "git-receive-pack",
        }
    }

    fn named(service: &str) -> Option<Self> {
        [Self::Upload, Self::Receive].into_iter().find(|pack| pack.service() == service)
    }
}

/// A request for an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The rig whose origin it is.
    pub rig: String,
    /// Which way objects are to go.
    pub pack: Pack,
    /// Whether this is the question before: which refs there are.
    pub is_advertisement: bool,
}

/// The longest name of a rig.
const RIG_LIMIT: usize = 64;

impl Asked {
    /// Reads method, path and query as they came: nothing is decoded, so that no other spelling of a path reaches a file.
    pub fn read(method: &str, path: &str, query: Option<&str>) -> Option<Self> {
        let (repository, rest) = path.strip_prefix('/')?.split_once('/')?;
        let rig = repository.strip_suffix(".git").filter(|rig| is_rig(rig))?.to_owned();
        let (pack, is_advertisement) = match (method, rest, query) {
            ("GET", "info/refs", Some(query)) => (Pack::named(query.strip_prefix("service=")?)?, true),
            ("POST", service, None | Some("")) => (Pack::named(service)?, false),
            _ => return None,
        };
        Some(Self { rig, pack, is_advertisement })
    }

    /// The path inside the folder of origins, for the CGI program.
    pub fn path(&self) -> String {
        let last = if self.is_advertisement { "info/refs" } else { self.pack.service() };
        format!("/{}.git/{last}", self.rig)
    }

    /// The query, for the CGI program.
    pub fn query(&self) -> String {
        if self.is_advertisement { format!("service={}", self.pack.service()) } else { String::new() }
    }
}

/// Whether a rig can have this name: letters, digits, `_` and `-`, the first a letter or a digit.
fn is_rig(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.len() <= RIG_LIMIT && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, target: &str) -> Option<(String, Pack, bool)> {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        Asked::read(method, path, query).map(|asked| (asked.rig, asked.pack, asked.is_advertisement))
    }

    #[test]
    fn what_a_push_asks_for_stands_before_its_objects() {
        let (zero, one) = ("0".repeat(40), "1".repeat(40));
        let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
        let body = [
            line(&format!("{zero} {one} refs/heads/a\0 report-status")),
            line(&format!("{one} {zero} refs/heads/b")),
            "0000PACK".into(),
        ];
        let wanted = [("refs/heads/a".into(), None, Some(one.clone())), ("refs/heads/b".into(), Some(one), None)];
        assert_eq!(commands(body.concat().as_bytes()), wanted);
        for rubbish in ["", "0000", "zzzz", "ffff1 2 x", "0001", "0003"] {
            assert!(commands(rubbish.as_bytes()).is_empty(), "{rubbish}");
        }
    }

    #[test]
    fn the_three_paths_of_smart_http_are_known() {
        assert_eq!(read("GET", "/alice.git/info/refs?service=git-upload-pack"), Some(("alice".into(), Pack::Upload, true)));
        assert_eq!(read("POST", "/alice.git/git-upload-pack"), Some(("alice".into(), Pack::Upload, false)));
        assert_eq!(read("POST", "/a_b-2.git/git-receive-pack"), Some(("a_b-2".into(), Pack::Receive, false)));
        let asked = Asked::read("GET", "/alice.git/info/refs", Some("service=git-receive-pack")).unwrap_or_else(|| panic!());
        assert_eq!((asked.path().as_str(), asked.query().as_str()), ("/alice.git/info/refs", "service=git-receive-pack"));
    }

    #[test]
    fn nothing_else_is_there() {
        let long = format!("/{}.git/info/refs?service=git-upload-pack", "a".repeat(65));
        for (method, target) in [
            ("GET", "/"),
            ("GET", "/alice.git/info/refs"),
            ("GET", "/alice.git/HEAD"),
            ("GET", "/alice.git/config"),
            ("GET", "/alice.git/objects/info/packs"),
            ("GET", "/../alice.git/info/refs?service=git-upload-pack"),
            ("GET", "/%2e%2e/alice.git/info/refs?service=git-upload-pack"),
            ("GET", "/..git/info/refs?service=git-upload-pack"),
            ("GET", "/.git/info/refs?service=git-upload-pack"),
            ("GET", "/-x.git/info/refs?service=git-upload-pack"),
            ("GET", "/a%6cice.git/info/refs?service=git-upload-pack"),
            ("GET", "//alice.git/info/refs?service=git-upload-pack"),
            ("GET", "/alice.git//info/refs?service=git-upload-pack"),
            ("GET", "/alice/info/refs?service=git-upload-pack"),
            ("GET", "/alice.git/info/refs?service=git-upload-archive"),
            ("GET", "/alice.git/info/refs?service=git-upload-pack&x=1"),
            ("PUT", "/alice.git/git-receive-pack"),
            ("POST", "/alice.git/git-upload-archive"),
            ("POST", "/alice.git/git-receive-pack?x"),
            ("GET", long.as_str()),
        ] {
            assert_eq!(read(method, target), None, "{method} {target}");
        }
    }
}
