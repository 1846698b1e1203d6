//! `foo.json` → what to do with a program and what to expect of it.
//!
//! In: text. Out: an [`Expectation`]: operations in order, the first of them a run and the last a wait; or
//! what is wrong with the text. Two forms, as the suite's specification has them:
//!
//! ```json
//! {"args": ["a"], "env": {"K": "v"}, "root": "fs.dir", "stdout": "text", "stderr": "", "exit_code": 3}
//! {"operations": [{"type": "run", "root": "fs.dir"}, {"type": "write", "payload": "in"},
//!                 {"type": "read", "id": "stdout", "payload": "out"}, {"type": "wait", "exit_code": 3}]}
//! ```
//!
//! `dirs`, of older suites, is a list of directories, each granted under the name it has in the list.
//! Nothing is ignored: an unknown field would be an expectation that nobody looks at. Operations that need
//! sockets of the guest's own making, or HTTP, are refused by name: preview 1 programs have neither.

use serde_json::{Map, Value};

/// What to do with a program, and what to expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// How it is started.
    pub run: Run,
    /// What happens between start and end.
    pub operations: Vec<Operation>,
    /// The exit status.
    pub exit_code: i64,
}

/// How a program is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Arguments, the program's name not included.
    pub args: Vec<String>,
    /// The environment, all of it.
    pub env: Vec<(String, String)>,
    /// Granted directories, below the directory of the module, and their names for the program.
    pub dirs: Vec<(String, String)>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Gives this to standard input.
    Write(String),
    /// The next bytes of an output are these.
    Read(Stream, String),
    /// An output is this, up to its end.
    ReadAll(Stream, String),
}

/// An output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// As the files call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

impl Default for Expectation {
    /// What holds for a program without a file: it ends with 0.
    fn default() -> Self {
        Self {
            run: Run::default(),
            operations: Vec::new(),
            exit_code: 0,
        }
    }
}

const BRIEF: &[&str] = &[
    "args",
    "env",
    "root",
    "dirs",
    "exit_code",
    "stdout",
    "stderr",
];

/// Reads a file.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Expectation, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let fields = object(&value, "the file")?;
    if !fields.contains_key("operations") {
        return brief(fields);
    }
    only(fields, &["operations", "proposals", "world"], "the file")?;
    if let Some(proposal) = list(fields, "proposals")?.first() {
        return Err(format!("proposal {proposal}: no preview 1 program has it"));
    }
    match fields.get("world") {
        None => {}
        Some(world) if world == "wasi:cli/command" => {}
        Some(world) => return Err(format!("world {world}: no preview 1 program has it")),
    }
    operations(list(fields, "operations")?)
}

/// The form without operations.
fn brief(fields: &Map<String, Value>) -> Result<Expectation, String> {
    only(fields, BRIEF, "the file")?;
    let mut operations = Vec::new();
    for stream in [Stream::Stdout, Stream::Stderr] {
        if let Some(expected) = string(fields, stream.name())? {
            operations.push(Operation::ReadAll(stream, expected));
        }
    }
    Ok(Expectation {
        run: run(fields)?,
        operations,
        exit_code: exit_code(fields)?,
    })
}

fn operations(values: &[Value]) -> Result<Expectation, String> {
    let mut started = None;
    let mut ended = None;
    let mut steps = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let place = format!("operation {index}");
        let fields = object(value, &place)?;
        let wrong = |error| format!("{place}: {error}");
        let kind = string(fields, "type").map_err(wrong)?.unwrap_or_default();
        if ended.is_some() {
            return Err(format!("{place}: behind the end of the program"));
        }
        if started.is_none() != (kind == "run") {
            return Err(format!(
                "{place}: a program runs once, before anything else"
            ));
        }
        match kind.as_str() {
            "run" => {
                only(fields, &["type", "args", "env", "root", "dirs"], &place)?;
                started = Some(run(fields).map_err(wrong)?);
            }
            "wait" => {
                only(fields, &["type", "exit_code"], &place)?;
                ended = Some(exit_code(fields).map_err(wrong)?);
            }
            "read" => {
                only(fields, &["type", "id", "payload"], &place)?;
                let stream = match string(fields, "id").map_err(wrong)?.as_deref() {
                    None | Some("stdout") => Stream::Stdout,
                    Some("stderr") => Stream::Stderr,
                    Some(other) => return Err(format!("{place}: no output is called {other:?}")),
                };
                let payload = string(fields, "payload").map_err(wrong)?;
                steps.push(Operation::Read(stream, payload.unwrap_or_default()));
            }
            "write" => {
                only(fields, &["type", "id", "payload"], &place)?;
                if let Some(id) = string(fields, "id").map_err(wrong)?
                    && id != "stdin"
                {
                    return Err(format!("{place}: no input is called {id:?}"));
                }
                let payload = string(fields, "payload").map_err(wrong)?;
                steps.push(Operation::Write(payload.unwrap_or_default()));
            }
            other => return Err(format!("{place}: {other:?} is not supported")),
        }
    }
    match (started, ended) {
        (Some(run), Some(exit_code)) => Ok(Expectation {
            run,
            operations: steps,
            exit_code,
        }),
        // The suite's own default.
        (None, _) => Ok(Expectation::default()),
        (Some(_), None) => Err("the program is never waited for".to_owned()),
    }
}

fn run(fields: &Map<String, Value>) -> Result<Run, String> {
    let text = |value: &Value, what: &str| match value.as_str() {
        Some(text) if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err(format!("{what}: a string without NUL is expected")),
    };
    let mut dirs = Vec::new();
    if let Some(root) = string(fields, "root")? {
        dirs.push((root, "/".to_owned()));
    }
    for dir in list(fields, "dirs")? {
        let dir = text(dir, "dirs")?;
        dirs.push((dir.clone(), dir));
    }
    let env = match fields.get("env") {
        None | Some(Value::Null) => Vec::new(),
        Some(value) => object(value, "env")?
            .iter()
            .map(|(key, value)| Ok((key.clone(), text(value, "env")?)))
            .collect::<Result<_, String>>()?,
    };
    Ok(Run {
        args: list(fields, "args")?
            .iter()
            .map(|value| text(value, "args"))
            .collect::<Result<_, _>>()?,
        env,
        dirs,
    })
}

fn exit_code(fields: &Map<String, Value>) -> Result<i64, String> {
    match fields.get("exit_code") {
        None => Ok(0),
        Some(value) => value
            .as_i64()
            .ok_or_else(|| "exit_code: an integer is expected".to_owned()),
    }
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("{what}: an object is expected"))
}

/// Fails when there is another field than these.
fn only(fields: &Map<String, Value>, known: &[&str], place: &str) -> Result<(), String> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(format!("{place}: {key:?} is not known here")),
    }
}

fn string(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{name}: a string is expected")),
    }
}

fn list<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(values)) => Ok(values),
        Some(_) => Err(format!("{name}: a list is expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let brief = parse(
            r#"{"args": ["a", "b c"], "env": {"K": "v"}, "root": "fs.dir", "dirs": ["d"],
                "stdout": "out", "stderr": null, "exit_code": 3}"#,
        );
        let run = Run {
            args: vec!["a".into(), "b c".into()],
            env: vec![("K".into(), "v".into())],
            dirs: vec![("fs.dir".into(), "/".into()), ("d".into(), "d".into())],
        };
        let expected = Expectation {
            run: run.clone(),
            operations: vec![Operation::ReadAll(Stream::Stdout, "out".into())],
            exit_code: 3,
        };
        assert_eq!(brief, Ok(expected));
        let operations = parse(
            r#"{"proposals": [], "operations": [
                {"type": "run", "args": ["a", "b c"], "env": {"K": "v"}, "root": "fs.dir", "dirs": ["d"]},
                {"type": "read", "payload": "1"}, {"type": "write", "id": "stdin", "payload": "2"},
                {"type": "read", "id": "stderr", "payload": "3"}, {"type": "wait", "exit_code": 3}]}"#,
        );
        let expected = Expectation {
            run,
            operations: vec![
                Operation::Read(Stream::Stdout, "1".into()),
                Operation::Write("2".into()),
                Operation::Read(Stream::Stderr, "3".into()),
            ],
            exit_code: 3,
        };
        assert_eq!(operations, Ok(expected));
        assert_eq!(parse("{}"), Ok(Expectation::default()));
        assert_eq!(parse(r#"{"operations": []}"#), Ok(Expectation::default()));
    }

    #[test]
    fn what_no_such_file_says_is_refused() {
        for (text, why) in [
            ("", "EOF"),
            ("[]", "the file: an object"),
            (r#"{"arguments": []}"#, "\"arguments\" is not known"),
            (r#"{"args": "a"}"#, "args: a list"),
            (r#"{"args": [1]}"#, "args: a string"),
            (r#"{"args": ["\u0000"]}"#, "args: a string without NUL"),
            (r#"{"env": {"a": 1}}"#, "env: a string"),
            (r#"{"exit_code": "0"}"#, "exit_code: an integer"),
            (r#"{"stdout": 0}"#, "stdout: a string"),
            (r#"{"operations": [], "args": []}"#, "\"args\" is not known"),
            (r#"{"operations": [], "proposals": ["http"]}"#, "\"http\""),
            (
                r#"{"operations": [], "world": "wasi:http/service"}"#,
                "http/service",
            ),
            (
                r#"{"operations": [{"type": "wait"}]}"#,
                "operation 0: a program runs once",
            ),
            (r#"{"operations": [{"type": "run"}]}"#, "never waited for"),
            (
                r#"{"operations": [{"type": "run"}, {"type": "run"}]}"#,
                "operation 1",
            ),
            (
                r#"{"operations": [{"type": "run"}, {"type": "wait"}, {"type": "read"}]}"#,
                "operation 2",
            ),
            (
                r#"{"operations": [{"type": "run"}, {"type": "connect"}]}"#,
                "\"connect\" is not supported",
            ),
            (
                r#"{"operations": [{"type": "run"}, {"type": "read", "id": "stdin"}]}"#,
                "\"stdin\"",
            ),
            (
                r#"{"operations": [{"type": "run"}, {"type": "write", "id": "stdout"}]}"#,
                "\"stdout\"",
            ),
            (
                r#"{"operations": [{"type": "run", "exit_code": 1}]}"#,
                "\"exit_code\" is not known",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
