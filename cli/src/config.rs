//! `--config FILE`: options from a TOML file.
//!
//! In: the words of the command line and the file that they name. Out: the same words with the file's options
//! in front of them, so that everything behind this is the same as if they had been typed. Keys are the long
//! names of the options that decide what the program is; a value is what would stand behind the option, a
//! list where the option can be repeated, a table where its values have the form `KEY=VALUE`, `true` where
//! it needs no value. An error names the file and the line.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args as _, Command, CommandFactory as _};
use clap::{FromArgMatches as _, Parser as _};
use elfin_compiler::Printable;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::args::{CommandLine, Mode, ProgramArgs};
use crate::grants::{self, InheritEnv};
use crate::input::read_file;
use crate::report::{Failure, Result};

/// The command line `words` with what its configuration file says, if it names one.
pub(crate) fn apply(mode: Mode, words: Vec<OsString>) -> Result<Mode> {
    let path = match &mode {
        Mode::Build(args) => &args.program.grants.config,
        Mode::Run(args) => &args.program.grants.config,
        Mode::Inspect(_) => return Ok(mode),
    };
    let Some(path) = path else {
        return Ok(mode);
    };
    let matches = CommandLine::command()
        .try_get_matches_from(&words)
        .map_err(not_again)?;
    let (_, typed) = matches
        .subcommand()
        .ok_or_else(|| not_again("no command"))?;
    let options = read(path, typed)?;

    // The program's name and the command come first; what is typed has the last word.
    let mut all = words;
    all.splice(2..2, options);
    CommandLine::try_parse_from(all)
        .map(|line| line.mode)
        .map_err(|error| {
            Failure::new(format!("cannot use {}", name_of(path))).because(first_line(&error))
        })
}

fn not_again(error: impl std::fmt::Display) -> Failure {
    Failure::new("cannot read the command line a second time").because(error)
}

fn name_of(path: &Path) -> String {
    Printable(&path.display().to_string()).to_string()
}

/// What clap says, without its hints.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The options in the file that what was typed does not replace.
fn read(path: &Path, typed: &ArgMatches) -> Result<Vec<OsString>> {
    let bytes = read_file(path)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(format!("cannot read {}: it is not UTF-8", name_of(path))))?;
    let file = File {
        name: name_of(path),
        text: &text,
    };
    let table = DeTable::parse(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        file.error(start, error.message())
    })?;
    let known = ProgramArgs::augment_args(Command::new("elfin"));
    let typed_args = ProgramArgs::from_arg_matches(typed).map_err(not_again)?;

    let mut words = Vec::new();
    for (key, value) in table.get_ref() {
        let option = find(&known, key.get_ref())
            .ok_or_else(|| file.error(key.span().start, unknown(&known, key.get_ref())))?;
        let is_typed =
            typed.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine);
        for item in items(&file, option, key.get_ref(), value)? {
            // Each by itself, so that an error has its line.
            let one = known
                .clone()
                .try_get_matches_from([OsStr::new("elfin"), &item.word])
                .and_then(|matches| ProgramArgs::from_arg_matches(&matches))
                .map_err(|error| file.error(item.at, first_line(&error)))?;
            let replaced = match option.get_action() {
                ArgAction::Append => contradicts(&one, &typed_args),
                _ => is_typed,
            };
            if !replaced {
                words.push(item.word);
            }
        }
    }
    Ok(words)
}

/// The option with this long name, if a file may have it.
fn find<'a>(known: &'a Command, key: &str) -> Option<&'a Arg> {
    options(known).find(|option| option.get_long() == Some(key))
}

fn options(known: &Command) -> impl Iterator<Item = &Arg> {
    known.get_arguments().filter(|option| {
        let long = option.get_long();
        long.is_some() && long != Some("config") && !option.is_hide_set()
    })
}

fn unknown(known: &Command, key: &str) -> String {
    let names: Vec<_> = options(known).filter_map(Arg::get_long).collect();
    format!(
        "unknown key '{}'; the keys are {}",
        Printable(key),
        names.join(", ")
    )
}

/// Whether an option of the file says something else about the same thing as one that was typed.
fn contradicts(one: &ProgramArgs, typed: &ProgramArgs) -> bool {
    let variable = |args: &ProgramArgs| -> Vec<OsString> {
        let inherited = args
            .inherit_envs
            .iter()
            .filter_map(|inherit| match inherit {
                InheritEnv::All => None,
                InheritEnv::Key(key) => Some(key.clone()),
            });
        let fixed = args.envs.iter().map(|env| env.key.clone());
        fixed.chain(inherited).collect()
    };
    let (here, there) = (variable(one), variable(typed));
    let twice = one
        .grants
        .tcp_listen
        .iter()
        .any(|address| typed.grants.tcp_listen.contains(address));
    let dir = one
        .dirs
        .iter()
        .any(|dir| typed.dirs.iter().any(|other| other.guest == dir.guest));
    let link = one
        .links
        .iter()
        .any(|link| typed.links.iter().any(|other| other.name == link.name));
    twice || dir || link || here.iter().any(|key| there.contains(key))
}

/// An option as it would be typed, and where it stands.
struct Item {
    word: OsString,
    at: usize,
}

/// The options that a key and its value stand for.
fn items(
    file: &File<'_>,
    option: &Arg,
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<Vec<Item>> {
    let at = value.span().start;
    let takes_value = option.get_action().takes_values();
    let item = |value: &str, at| Item {
        word: format!("--{key}={value}").into(),
        at,
    };
    match value.get_ref() {
        DeValue::Boolean(on) if !takes_value => Ok(flag(key, *on, at)),
        DeValue::Boolean(on) if key == "inherit-env" => Ok(if *on {
            vec![item(grants::ALL, at)]
        } else {
            Vec::new()
        }),
        _ if !takes_value => Err(file.error(at, format!("'{key}' is true or false"))),
        DeValue::Array(values) if is_list(option) => values
            .iter()
            .map(|value| Ok(item(&scalar(file, key, value)?, value.span().start)))
            .collect(),
        DeValue::Table(table) if is_list(option) && has_pairs(option) => table
            .iter()
            .map(|(name, value)| {
                let at = name.span().start;
                let name = name.get_ref();
                if name.contains(['=', '\0']) {
                    let name = Printable(name);
                    return Err(file.error(at, format!("there is a `=` or a NUL in '{name}'")));
                }
                let pair = format!("{name}={}", scalar(file, key, value)?);
                Ok(item(&pair, at))
            })
            .collect(),
        DeValue::Array(_) => Err(file.error(at, format!("'{key}' takes one value, not a list"))),
        _ => Ok(vec![item(&scalar(file, key, value)?, at)]),
    }
}

fn flag(key: &str, on: bool, at: usize) -> Vec<Item> {
    let word = format!("--{key}").into();
    if on {
        vec![Item { word, at }]
    } else {
        Vec::new()
    }
}

fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

/// Whether values have the form `NAME=VALUE`.
fn has_pairs(option: &Arg) -> bool {
    option
        .get_value_names()
        .is_some_and(|names| names.iter().any(|name| name.contains('=')))
}

/// A string or a number as it would be typed.
fn scalar(file: &File<'_>, key: &str, value: &Spanned<DeValue<'_>>) -> Result<String> {
    let at = value.span().start;
    match value.get_ref() {
        DeValue::String(text) if text.contains('\0') => {
            Err(file.error(at, format!("the value of '{key}' has a NUL in it")))
        }
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| {
                file.error(
                    at,
                    format!("the number for '{key}' is none from 0 to 2^64 - 1"),
                )
            }),
        other => Err(file.error(
            at,
            format!(
                "'{key}' takes a string or a whole number, not a {}",
                other.type_str()
            ),
        )),
    }
}

struct File<'a> {
    name: String,
    text: &'a str,
}

impl File<'_> {
    /// An error at byte `at`.
    fn error(&self, at: usize, what: impl std::fmt::Display) -> Failure {
        let line = self
            .text
            .bytes()
            .take(at)
            .filter(|&byte| byte == b'\n')
            .count()
            + 1;
        Failure::new(format!("{}, line {line}", self.name)).because(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// The options in front of what is typed, or the error.
    fn words(text: &str, typed: &str) -> std::result::Result<Vec<String>, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let line = format!("elfin build app.wasm {typed}");
        let matches = CommandLine::command()
            .try_get_matches_from(line.split_whitespace())
            .unwrap();
        let (_, typed) = matches.subcommand().unwrap();
        read(file.path(), typed)
            .map(|words| {
                words
                    .iter()
                    .map(|word| word.to_str().unwrap().into())
                    .collect()
            })
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn every_kind_of_value() {
        let text = "# grants\ndir = [\"data::/data:ro\", 'out']\nenv = [\"A=b=c\"]\ninherit-env = true\n\
            max-memory = \"64MiB\"\nmax-open-files = 0x10\nstdin = \"null\"\ntime = true\n\
            tcp-listen = \"127.0.0.1:80\"\n";
        let expected = [
            "--dir=data::/data:ro",
            "--dir=out",
            "--env=A=b=c",
            "--inherit-env=*",
            "--max-memory=64MiB",
            "--max-open-files=16",
            "--stdin=null",
            "--tcp-listen=127.0.0.1:80",
            "--time",
        ];
        assert_eq!(words(text, "").unwrap(), expected);
        assert_eq!(words("", "").unwrap(), [""; 0]);
        let text = "inherit-env = ['A', 'B']\ntime = false\n[env]\nLANG = 'C'\nN = 1\n";
        let expected = [
            "--env=LANG=C",
            "--env=N=1",
            "--inherit-env=A",
            "--inherit-env=B",
        ];
        assert_eq!(words(text, "").unwrap(), expected);
    }

    #[test]
    fn what_is_typed_adds_or_replaces() {
        let text = "dir = ['a::/x', 'b::/y']\nenv = ['A=1', 'B=2']\nmax-memory = 65536\n";
        let typed = "--dir c::/x --inherit-env A --max-memory 1MiB --dir z";
        assert_eq!(words(text, typed).unwrap(), ["--dir=b::/y", "--env=B=2"]);
    }

    #[test]
    fn errors_have_their_line() {
        for (text, line, says) in [
            ("\n\ndirs = ['a']\n", 3, "unknown key 'dirs'; the keys are"),
            ("config = 'x'", 1, "unknown key"),
            ("addressing = 'context'", 1, "unknown key"),
            ("output = 'x'", 1, "unknown key"),
            ("dir = [\n'a',\n'b:c',\n]", 3, "two colons"),
            ("max-memory = 1.5", 1, "not a float"),
            ("max-memory = -1", 1, "2^64"),
            ("max-memory = [1, 2]", 1, "not a list"),
            ("\nmax-memory = 'x'", 2, "a size is"),
            ("time = 'x'", 1, "true or false"),
            ("stdin = 'file'", 1, "file"),
            ("env = true", 1, "boolean"),
            ("[dir]\na = 'b'", 1, "table"),
            ("env = [\"A=\\u0000\"]", 1, "NUL"),
            ("[env]\nA = 'x'\n\"B\\u0000\" = 'x'", 3, "NUL"),
            ("[env]\n'A=B' = 'x'", 2, "`=`"),
            ("dir = ['a']\ndir = ['b']", 2, "duplicate"),
            ("x = [", 1, ""),
        ] {
            let error = words(text, "").expect_err(text);
            assert!(
                error.contains(&format!(", line {line}\n")),
                "{text}: {error}"
            );
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
