//! The note at the end of an executable: what `elfin inspect` says about it. Writer and reader.
//!
//! In (write): facts about the build. Out: bytes that are appended to the image, behind everything that
//! is loaded. In (read): a file. Out: the same facts. The note has no effect on what the program may do;
//! it carries no host path and no time.
//!
//! ```text
//! lines of text, each `key=value\n`: what elfin, from what, how     (names escape nothing: they have no
//! the policy block, as sealed into the image                         newline, being import names we know)
//! u32 length of the text, u32 length of the policy block, magic "elfin\0n1"
//! ```
//!
//! It stands at the end because that is a place any file has, that costs no memory in the process, and
//! that the linker need not know of.

use crate::report::{Failure, Result};

const MAGIC: &[u8; 8] = b"elfin\0n1";
const FOOTER: usize = 16;

/// What a note says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// Version of elfin that built the executable.
    pub(crate) version: String,
    /// `-O`.
    pub(crate) opt_level: String,
    /// `--memory`.
    pub(crate) memory: String,
    /// `--cpu`, when it is more than the baseline.
    pub(crate) cpu: String,
    /// `--max-memory`, in bytes.
    pub(crate) max_memory: Option<u64>,
    /// `--max-stack`, in bytes.
    pub(crate) max_stack: Option<u64>,
    /// SHA-256 of the main module, then of the modules linked in, in hexadecimal.
    pub(crate) modules: Vec<String>,
    /// Host functions that the program calls, as `module.name`.
    pub(crate) host_functions: Vec<String>,
    /// The policy block.
    pub(crate) policy: Vec<u8>,
}

impl Note {
    /// Encodes the note.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let cpu = match self.cpu.as_str() {
            "" => String::new(),
            cpu => format!("cpu={cpu}\n"),
        };
        let mut text = format!(
            "elfin={}\nopt={}\nmemory={}\n{cpu}modules={}\nhost={}\n",
            self.version,
            self.opt_level,
            self.memory,
            self.modules.join(" "),
            shorten(&self.host_functions),
        );
        // Nothing is written of what was not given.
        for (key, limit) in [
            ("max-memory", self.max_memory),
            ("max-stack", self.max_stack),
        ] {
            if let Some(limit) = limit {
                text += &format!("{key}={limit}\n");
            }
        }
        let mut bytes = text.into_bytes();
        let text_len = bytes.len() as u32;
        bytes.extend_from_slice(&self.policy);
        bytes.extend_from_slice(&text_len.to_le_bytes());
        bytes.extend_from_slice(&(self.policy.len() as u32).to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        bytes
    }

    /// Finds the note of `file`.
    pub(crate) fn decode(file: &[u8]) -> Result<Self> {
        let (body, footer) = file.split_last_chunk::<FOOTER>().ok_or_else(missing)?;
        if footer[8..] != *MAGIC {
            return Err(missing());
        }
        let length = |at: usize| {
            let field: [u8; 4] = footer[at..at + 4]
                .try_into()
                .expect("four bytes of sixteen");
            u32::from_le_bytes(field) as usize
        };
        let policy_at = body.len().checked_sub(length(4)).ok_or_else(damaged)?;
        let text_at = policy_at.checked_sub(length(0)).ok_or_else(damaged)?;
        let text = std::str::from_utf8(&body[text_at..policy_at]).map_err(|_| damaged())?;
        let mut note = Note {
            policy: body[policy_at..].to_vec(),
            ..Note::default()
        };
        let words = |value: &str| {
            value
                .split(' ')
                .filter(|word| !word.is_empty())
                .map(String::from)
                .collect()
        };
        for line in text.lines() {
            match line.split_once('=').ok_or_else(damaged)? {
                ("elfin", value) => note.version = value.into(),
                ("opt", value) => note.opt_level = value.into(),
                ("memory", value) => note.memory = value.into(),
                ("cpu", value) => note.cpu = value.into(),
                ("modules", value) => note.modules = words(value),
                ("host", value) => note.host_functions = lengthen(value),
                ("max-memory", value) => {
                    note.max_memory = Some(value.parse().map_err(|_| damaged())?);
                }
                ("max-stack", value) => {
                    note.max_stack = Some(value.parse().map_err(|_| damaged())?);
                }
                // Of a later elfin.
                _ => {}
            }
        }
        Ok(note)
    }
}

/// `a.x`, `a.y`, `b.z` → `a.x .y b.z`: a name without a module has that of the one before it.
fn shorten(functions: &[String]) -> String {
    let mut text = String::new();
    let mut before = "";
    for function in functions {
        let (module, name) = function.split_once('.').unwrap_or(("", function));
        if !text.is_empty() {
            text.push(' ');
        }
        if module != before {
            text.push_str(module);
        }
        text.push('.');
        text.push_str(name);
        before = module;
    }
    text
}

/// The reverse of [`shorten`].
fn lengthen(text: &str) -> Vec<String> {
    let mut before = "";
    let mut functions = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (module, name) = word.split_once('.').unwrap_or(("", word));
        if !module.is_empty() {
            before = module;
        }
        functions.push(format!("{before}.{name}"));
    }
    functions
}

fn missing() -> Failure {
    Failure::new("it was not made by elfin, or its note was stripped")
}

fn damaged() -> Failure {
    Failure::new("its note is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Note {
        Note {
            version: "1.2.3".into(),
            opt_level: "2".into(),
            memory: "guarded".into(),
            cpu: "x86-64-v2+avx".into(),
            max_memory: Some(1 << 40),
            max_stack: None,
            modules: vec!["ab".into(), "cd".into()],
            host_functions: ["a.x", "a.y", "b.z", "a.x"].map(String::from).to_vec(),
            policy: b"elfP\x01a=b\n\x00".to_vec(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut file = b"image".to_vec();
        file.extend(sample().encode());
        assert_eq!(Note::decode(&file).unwrap(), sample());
        let baseline = Note {
            cpu: String::new(),
            ..sample()
        };
        assert_eq!(Note::decode(&baseline.encode()).unwrap(), baseline);
    }

    #[test]
    fn damage_is_an_error() {
        let file = sample().encode();
        for len in 0..file.len() {
            assert!(Note::decode(&file[..len]).is_err(), "cut to {len}");
            assert!(
                Note::decode(&file[file.len() - len..]).is_err(),
                "last {len}"
            );
        }
        let mut huge = file.clone();
        let at = huge.len() - FOOTER;
        huge[at..at + 8].fill(0xff);
        assert!(Note::decode(&huge).is_err());
    }
}
