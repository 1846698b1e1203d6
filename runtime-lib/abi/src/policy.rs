//! The policy block: what the program may touch, sealed into the executable at build time.
//!
//! In (write): a [`Policy`], the validated flags of `elfin build`. Out: bytes. In (read): those bytes.
//! Out: an iterator of [`Entry`] that borrows from them.
//!
//! A block is the magic `elfP`, a version, then entries: a tag byte, then the entry's strings, each a
//! little-endian `u32` length and its bytes, then a closing tag 0. Reading never trusts a length.

/// First bytes of a block.
pub const MAGIC: &[u8; 4] = b"elfP";
/// Version of the encoding.
pub const VERSION: u8 = 1;

/// Closes a block; reading ends at any tag that it does not know.
#[cfg(feature = "write")]
const TAG_END: u8 = 0;
const TAG_DIR: u8 = 1;
const TAG_DIR_READ_ONLY: u8 = 2;
const TAG_ENV: u8 = 3;
const TAG_INHERIT_ENV: u8 = 4;
const TAG_ARG: u8 = 5;

/// One sealed decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A granted directory: opened at start (a relative `host` against the working directory) and
    /// shown to the guest as `guest`.
    Dir {
        /// Path on the host.
        host: &'a [u8],
        /// Name under which the guest sees it.
        guest: &'a [u8],
        /// Nothing below it may be changed.
        read_only: bool,
    },
    /// An environment variable with a fixed value: `KEY=VALUE`.
    Env(&'a [u8]),
    /// An environment variable passed through when it is set: `KEY`.
    InheritEnv(&'a [u8]),
    /// An argument that goes before those of the command line (behind argv\[0\]).
    Arg(&'a [u8]),
}

/// Reads a block's entries in the order in which they were written. Ends at the first thing that is
/// not well formed: a damaged block grants less, never more.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Starts reading `block`.
    #[must_use]
    pub fn new(block: &'a [u8]) -> Self {
        let rest = match block {
            [m0, m1, m2, m3, version, rest @ ..]
                if [*m0, *m1, *m2, *m3] == *MAGIC && *version == VERSION =>
            {
                rest
            }
            _ => &[],
        };
        Self { rest }
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first_chunk::<4>()?;
        let (string, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.rest = rest;
        Some(string)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (&tag, rest) = self.rest.split_first()?;
        self.rest = rest;
        let entry = match tag {
            TAG_DIR | TAG_DIR_READ_ONLY => self.string().and_then(|host| {
                let guest = self.string()?;
                Some(Entry::Dir {
                    host,
                    guest,
                    read_only: tag == TAG_DIR_READ_ONLY,
                })
            }),
            TAG_ENV => self.string().map(Entry::Env),
            TAG_INHERIT_ENV => self.string().map(Entry::InheritEnv),
            TAG_ARG => self.string().map(Entry::Arg),
            _ => None,
        };
        if entry.is_none() {
            self.rest = &[];
        }
        entry
    }
}

/// Encodes entries into a block.
#[cfg(feature = "write")]
#[must_use]
pub fn encode<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> alloc::vec::Vec<u8> {
    use alloc::vec::Vec;

    fn put(block: &mut Vec<u8>, tag: u8, strings: &[&[u8]]) {
        block.push(tag);
        for string in strings {
            let len = u32::try_from(string.len()).expect("a policy string is shorter than 4 GiB");
            block.extend_from_slice(&len.to_le_bytes());
            block.extend_from_slice(string);
        }
    }

    let mut block = Vec::new();
    block.extend_from_slice(MAGIC);
    block.push(VERSION);
    for entry in entries {
        match entry {
            Entry::Dir {
                host,
                guest,
                read_only: false,
            } => put(&mut block, TAG_DIR, &[host, guest]),
            Entry::Dir {
                host,
                guest,
                read_only: true,
            } => {
                put(&mut block, TAG_DIR_READ_ONLY, &[host, guest]);
            }
            Entry::Env(pair) => put(&mut block, TAG_ENV, &[pair]),
            Entry::InheritEnv(key) => put(&mut block, TAG_INHERIT_ENV, &[key]),
            Entry::Arg(arg) => put(&mut block, TAG_ARG, &[arg]),
        }
    }
    block.push(TAG_END);
    block
}

#[cfg(all(test, feature = "write"))]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const SAMPLE: &[Entry<'static>] = &[
        Entry::Dir {
            host: b"data",
            guest: b"/data",
            read_only: false,
        },
        Entry::Env(b"A=b=c"),
        Entry::Dir {
            host: b"/",
            guest: b".",
            read_only: true,
        },
        Entry::InheritEnv(b"HOME"),
        Entry::Arg(b""),
    ];

    #[test]
    fn what_is_written_is_read() {
        let block = encode(SAMPLE.iter().copied());
        assert_eq!(Entries::new(&block).collect::<Vec<_>>(), SAMPLE);
    }

    #[test]
    fn a_truncated_block_grants_a_prefix() {
        let block = encode(SAMPLE.iter().copied());
        for len in 0..block.len() {
            let read: Vec<_> = Entries::new(&block[..len]).collect();
            assert_eq!(read, SAMPLE[..read.len()]);
        }
    }
}
