//! LogsQL, golden cases: what each query gives over a small set of records, and where errors point.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod otlp;

use otlp::{Logs, at, log_with};
use proctor_store::{Options, Signal, Store, TimeRange, http, logsql};

const GT: &[(&str, &str)] = &[("service.name", "gastown"), ("gt.role", "mayor")];
const CLAUDE: &[(&str, &str)] = &[("service.name", "claude-code"), ("gt.role", "alice/polecats/furiosa")];

/// Records named after their second: 1 to 9.
fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Options::default()).unwrap();
    let gt = [
        log_with(1, 9, "session.start", &[("session_id", "hq-mayor"), ("n", "1")]),
        log_with(2, 9, "polecat.spawn", &[("name", "furiosa"), ("status", "ok"), ("n", "2")]),
        log_with(
            3,
            17,
            "bd.call",
            &[("subcommand", "create"), ("args", "create gt-b7 --type task"), ("status", "error"), ("n", "3")],
        ),
        log_with(4, 9, "bd.call", &[("subcommand", "update"), ("args", "update gt-b70"), ("duration_ms", "120"), ("n", "4")]),
        log_with(5, 9, "prime.context", &[("role", "eve/witness"), ("duration_ms", "9"), ("n", "5")]),
        log_with(6, 13, "Something in Words", &[("empty", ""), ("n", "6")]),
    ];
    let claude = [
        log_with(7, 0, "claude_code.api_request", &[("model", "opus"), ("cost_usd", "0.25"), ("n", "7")]),
        log_with(8, 0, "claude_code.api_request", &[("model", "haiku"), ("cost_usd", "0.05"), ("n", "8")]),
        log_with(9, 0, "claude_code.tool_result", &[("model", "opus"), ("duration_ms", "1500"), ("n", "9")]),
    ];
    for (resource, records) in [(GT, gt.to_vec()), (CLAUDE, claude.to_vec())] {
        let body = Logs::from_resource(resource, records);
        store.ingest(Signal::Logs, &body, Some("application/json"), None, None, at(10)).unwrap();
    }
    (dir, store)
}

fn found(store: &Store, query: &str) -> String {
    let answer =
        store.logsql(query, TimeRange::ALL, None).unwrap_or_else(|error| panic!("{query}\n{error}\n{}", error.caret(query)));
    answer.rows.iter().map(|row| row["n"].as_str()).collect()
}

#[test]
fn filters_find_what_they_should() {
    let (_dir, store) = store();
    for (query, expected) in [
        ("*", "123456789"),
        ("", "123456789"),
        // The queries of the first system's reference.
        ("service_name:gastown", "123456"),
        (r#"service_name:gastown AND "polecat.spawn""#, "2"),
        ("service_name:gastown AND level:error", "3"),
        ("service.name:claude-code AND gt.role:*", "789"),
        (r#""claude_code.api_request""#, "78"),
        // What the trace viewer asks.
        ("polecat.spawn", "2"),
        ("prime", "5"),
        ("bd.call AND subcommand:\"create\"", "3"),
        ("bd.call AND args:\"gt-b7\"", "3"),
        ("bd.call AND (args:\"create\" AND args:\"task\")", "3"),
        (r#"claude_code.api_request AND "gt.role":"alice/polecats/furiosa""#, "78"),
        // Words, phrases, prefixes.
        ("Words", "6"),
        ("words", ""),
        ("i(words)", "6"),
        ("word", ""),
        ("Wor*", "6"),
        ("\"in Words\"", "6"),
        ("args:gt-b7*", "34"),
        // Exact, regular expression, presence.
        ("_msg:=bd.call", "34"),
        ("_msg:=bd", ""),
        ("_msg:=bd*", "34"),
        ("subcommand:!=create bd.call", "4"),
        (r#"model:~"^(opus|haiku)$""#, "789"),
        ("model:*", "789"),
        ("-model:*", "123456"),
        ("empty:\"\" Words", "6"),
        ("nosuch:\"\" Words", "6"),
        // Logic.
        ("subcommand:create OR subcommand:update", "34"),
        ("bd.call !subcommand:create", "4"),
        ("bd.call NOT subcommand:create", "4"),
        ("bd.call -subcommand:create", "4"),
        ("not (bd.call or service_name:claude-code)", "1256"),
        ("subcommand:(create or update)", "34"),
        ("session.start OR polecat.spawn bd.call", "1"),
        // Comparisons and sets.
        ("duration_ms:>100", "49"),
        ("duration_ms:>=120 duration_ms:<1500", "4"),
        ("n:range[2, 4]", "234"),
        ("n:range(2, 4]", "34"),
        ("model:in(opus, \"sonnet\")", "79"),
        ("args:contains_any(task, \"gt-b70\")", "34"),
        ("_msg:seq(Something, Words)", "6"),
        ("level:warn", "6"),
        ("severity:Error", "3"),
        // Streams and times.
        (r#"{service.name="gastown"} bd.call"#, "34"),
        (r#"_stream:{service.name=~"claude.*"}"#, "789"),
        ("_time:[1970-01-01T00:00:02Z, 1970-01-01T00:00:04Z]", "234"),
        ("_time:[1970-01-01T00:00:02Z, 1970-01-01T00:00:04Z)", "23"),
        ("_time:>1970-01-01T00:00:07Z", "89"),
        ("_time:3s", "89"),
        ("_time:3s offset 1s", "789"),
        ("_time:1970-01-01", "123456789"),
        ("_time:2026", ""),
    ] {
        assert_eq!(found(&store, query), expected, "{query}");
    }
}

fn answered(store: &Store, query: &str) -> String {
    let answer =
        store.logsql(query, TimeRange::ALL, None).unwrap_or_else(|error| panic!("{query}\n{error}\n{}", error.caret(query)));
    let row = |row: &logsql::Row| row.iter().map(|(name, text)| format!("{name}={text}")).collect::<Vec<_>>().join(" ");
    answer.rows.iter().map(row).collect::<Vec<_>>().join("; ")
}

#[test]
fn pipes_do_what_they_should() {
    let (_dir, store) = store();
    for (query, expected) in [
        ("bd.call | count", "count(*)=2"),
        ("bd.call | stats count()", "count(*)=2"),
        ("nothing | stats count() as n", "n=0"),
        ("* | stats by (service.name) count() as n", "n=3 service.name=claude-code; n=6 service.name=gastown"),
        ("model:* | stats by (model) sum(cost_usd) cost, count() n", "cost=0.05 model=haiku n=1; cost=0.25 model=opus n=2"),
        ("duration_ms:* | stats min(duration_ms) a, max(duration_ms) b, avg(duration_ms) c", "a=9 b=1500 c=543"),
        // A row without the field has the least value.
        ("* | stats min(duration_ms) a, max(duration_ms) b, avg(duration_ms) c", "b=1500 c=543"),
        ("* | stats quantile(0.5, duration_ms) q, median(duration_ms) m", "m=120 q=120"),
        ("* | stats count_uniq(model) m, count(model) n, count_empty(model) e", "e=6 m=2 n=3"),
        ("* | stats count() if (level:error) errors, count() all", "all=9 errors=1"),
        ("model:* | stats uniq_values(model) m", r#"m=["haiku","opus"]"#),
        ("* | stats by (_time:5s) count() n", "_time=1970-01-01T00:00:00Z n=4; _time=1970-01-01T00:00:05Z n=5"),
        ("model:* | fields n, model", "model=opus n=7; model=haiku n=8; model=opus n=9"),
        ("model:* | sort by (model, n desc) | fields n", "n=8; n=9; n=7"),
        ("duration_ms:* | sort by (duration_ms) | keep duration_ms", "duration_ms=9; duration_ms=120; duration_ms=1500"),
        ("* | sort by (n) desc limit 2 | fields n", "n=9; n=8"),
        ("* | fields n | limit 2", "n=1; n=2"),
        ("* | fields n | offset 7 | head 1", "n=8"),
        ("* | uniq by (model) | filter model:*", "model=opus; model=haiku"),
        ("model:* | uniq by (model) with hits", "hits=2 model=opus; hits=1 model=haiku"),
        ("* | filter model:haiku | fields n", "n=8"),
        ("model:haiku | rename n as number | fields number", "number=8"),
        ("* | by (level) count() n | sort by (n desc) | limit 1", "level=info n=4"),
    ] {
        assert_eq!(answered(&store, query), expected, "{query}");
    }
}

/// What VictoriaLogs 1.26 answered to the same queries.
#[test]
fn figures_over_no_rows_are_those_of_victorialogs() {
    let (_dir, store) = store();
    for (query, expected) in [
        ("nothing | stats sum(n)", "sum(n)=NaN"),
        ("nothing | stats sum(n) s, min(n) mi, max(n) ma, avg(n) a, median(n) me, quantile(0.9, n) q", "a=NaN s=NaN"),
        ("nothing | stats count() c, count(n) cn, count_empty(n) ce, count_uniq(n) cu", "c=0 ce=0 cn=0 cu=0"),
        ("nothing | stats uniq_values(n) uv, values(n) v", "uv=[] v=[]"),
        ("nothing | stats by (model) sum(n)", ""),
        ("Words | stats sum(_msg) s, avg(_msg) a, max(_msg) m", "a=NaN m=Something in Words s=NaN"),
        ("Words | stats sum(nosuch) s, values(nosuch) v, uniq_values(nosuch) u, count(nosuch) c", r#"c=0 s=NaN u=[] v=[""]"#),
        ("* | stats sum(n) if (nothing) s, count() if (nothing) c, max(n) if (nothing) m", "c=0 s=NaN"),
    ] {
        assert_eq!(answered(&store, query), expected, "{query}");
    }
}

/// Records `1` to `6`, each with one text to look for.
fn quoted() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Options::default()).unwrap();
    let texts = ["code 42 done", "a.b", "axb", "a\\.b", "it's \"so\"", "tab\there é"];
    let records =
        texts.iter().zip(1..).map(|(text, n): (&&str, i64)| log_with(n, 9, text, &[("f", text), ("n", &n.to_string())]));
    store.ingest(Signal::Logs, &Logs::of(records), Some("application/json"), None, None, at(10)).unwrap();
    (dir, store)
}

/// What VictoriaLogs 1.26 found with the same queries.
#[test]
fn quoted_text_is_read_as_victorialogs_reads_it() {
    let (_dir, store) = quoted();
    for (query, expected) in [
        (r#"_msg:~"code \\d+""#, "1"),
        (r"_msg:~'code \\d+'", "1"),
        (r"_msg:~`code \d+`", "1"),
        (r#"f:="a\\.b""#, "4"),
        (r"f:='a\\.b'", "4"),
        (r"f:=`a\.b`", "4"),
        (r"f:=a\.b", "4"),
        (r#"f:="a.b""#, "2"),
        (r#"f:~"^a\\.b""#, "2"),
        (r"f:~^a\.b", "2"),
        (r#"f:~"a.b""#, "23"),
        (r#"f:"it's""#, "5"),
        (r"f:'it\'s'", "5"),
        (r#"f:"\"so\"""#, "5"),
        (r#"f:'"so"'"#, "5"),
        (r#"f:"tab\there""#, "6"),
        (r"f:'tab\there'", "6"),
        (r"f:`tab\there`", ""),
        (r#"f:"\x63ode""#, "1"),
        (r#"f:"\u00e9""#, "6"),
        (r#"f:"\303\251""#, "6"),
        (r#"f:"\U000000e9""#, "6"),
    ] {
        assert_eq!(found(&store, query), expected, "{query}");
    }
}

#[test]
fn an_escape_that_victorialogs_has_not_is_refused_at_its_place() {
    for (query, column) in [
        (r#"_msg:~"code \d+""#, 13),
        (r#"f:"a\.b""#, 5),
        (r"'a\.b'", 3),
        (r#"f:"it\'s""#, 6),
        (r#"f:'a\"b'"#, 5),
        (r#"f:"\x6""#, 4),
        (r#"f:"\u12""#, 4),
        (r#"f:"\ud800""#, 4),
        (r#"f:"\400""#, 4),
        (r#"{app="\d"}"#, 7),
        (r#"* | filter f:in("a", "\q")"#, 23),
    ] {
        let error = logsql::parse(query).unwrap_err();
        assert_eq!(error.column, column, "{query}: {error}");
        assert!(error.message.contains("no escape") && error.hint.is_some_and(|hint| hint.contains('`')), "{query}");
    }
    assert!(logsql::parse(r#"f:"\xff""#).unwrap_err().message.contains("UTF-8"));
}

#[test]
fn what_a_sender_calls_as_the_store_does_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Options::default()).unwrap();
    let record = log_with(1, 9, "body", &[("_msg", "mine"), ("proctor.agent", "mayor"), ("_time", "noon"), ("n", "1")]);
    store.ingest(Signal::Logs, &Logs::of([record]), Some("application/json"), None, None, at(10)).unwrap();
    for query in ["_msg:body", "exported._msg:mine", "exported.proctor.agent:mayor", "exported._time:noon", "proctor.agent:\"\""]
    {
        assert_eq!(found(&store, query), "1", "{query}");
    }
    let answer = store.logsql("*", TimeRange::ALL, None).unwrap();
    assert_eq!((answer.rows[0]["_msg"].as_str(), answer.rows[0]["exported._msg"].as_str()), ("body", "mine"));
}

#[test]
fn an_error_points_at_its_place_and_says_what_is_not_there() {
    for (query, column, length, part) in [
        ("(a OR b", 8, 1, "expected `)`"),
        ("a)", 2, 1, "no `(`"),
        ("level:", 7, 1, "expected a word"),
        ("a AND", 6, 1, "expected a word"),
        ("AND a", 1, 3, "expected a word"),
        ("\"abc", 1, 4, "not closed"),
        ("a:~\"(\"", 4, 3, "regular expression"),
        ("a | nosuch", 5, 6, "no pipe `nosuch`"),
        ("a | extract \"x\"", 5, 7, "not there yet"),
        ("a | stats nosuch(b)", 11, 6, "no figure"),
        ("a | stats by (x) sum()", 18, 3, "needs a field"),
        ("a:nosuch(b)", 3, 6, "no filter"),
        ("a:string_range(b, c)", 3, 12, "not there yet"),
        ("_time:yesterday", 7, 9, "not a time"),
        ("a=b", 2, 1, "not expected inside a word"),
        ("ä OR ö)", 7, 1, "no `(`"),
    ] {
        let error = logsql::parse(query).unwrap_err();
        assert_eq!((error.column, error.length), (column, length), "{query}: {error}");
        assert!(error.message.contains(part), "{query}: {error}");
    }
}

#[test]
fn an_error_in_a_query_of_several_lines_says_its_line() {
    for (query, place) in [
        ("*\n| filter f:\"a\\q\"", "line 2, column 14: "),
        ("*\n| stats count()\n| nosuch", "line 3, column 3: "),
        ("a:~'\\d'\n", "column 5: "),
    ] {
        let error = logsql::parse(query).unwrap_err();
        assert!(error.in_lines(query).starts_with(place), "{}", error.in_lines(query));
        let caret = error.caret(query);
        assert_eq!(
            caret.lines().last().unwrap().find('^').map(|at| at + 1),
            place.trim_end_matches(": ").rsplit(' ').next().unwrap().parse().ok()
        );
    }
}

#[test]
fn deep_nesting_is_refused_not_crashed_on() {
    for nested in ["(".repeat(10_000), "!".repeat(10_000), "a:".repeat(10_000)] {
        assert!(logsql::parse(&nested).unwrap_err().message.contains("levels deep"));
    }
}

#[test]
fn a_limit_keeps_the_newest_rows_in_ascending_order_and_the_range_is_inclusive() {
    let (_dir, store) = store();
    let answer = store.logsql("*", TimeRange::between(at(2), at(8)), Some(3)).unwrap();
    let rows: Vec<&str> = answer.rows.iter().map(|row| row["n"].as_str()).collect();
    assert_eq!(rows, ["6", "7", "8"]);
    assert_eq!(answer.total, 7);
}

#[test]
fn rows_have_the_fields_that_victorialogs_gives() {
    let (_dir, store) = store();
    let answer = store.logsql("bd.call subcommand:create", TimeRange::ALL, None).unwrap();
    let row = &answer.rows[0];
    assert_eq!(row["_time"], "1970-01-01T00:00:03Z");
    assert_eq!(row["_msg"], "bd.call");
    assert_eq!(row["_stream"], r#"{gt.role="mayor",service.name="gastown"}"#);
    assert_eq!(row["_stream_id"].len(), 48);
    assert_eq!(row["severity"], "Error");
    assert_eq!(row["service.name"], "gastown");
    assert_eq!(row["args"], "create gt-b7 --type task");
    let text = http::logsql_rows(&answer);
    assert_eq!(text.lines().count(), 1);
    let line: std::collections::BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    assert_eq!(&line, row);
}

#[test]
fn one_record_can_be_asked_against_a_filter() {
    let (_dir, store) = store();
    let query = logsql::parse("level:error").unwrap();
    let hits = store.logs(TimeRange::ALL).iter().filter(|log| query.matches(log, at(10))).count();
    assert_eq!(hits, 1);
}
