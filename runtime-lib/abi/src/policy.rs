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
const TAG_END: u8 = 0;
const TAG_DIR: u8 = 1;
const TAG_DIR_READ_ONLY: u8 = 2;
const TAG_ENV: u8 = 3;
const TAG_INHERIT_ENV: u8 = 4;
const TAG_ARG: u8 = 5;
const TAG_TCP_LISTEN: u8 = 6;
const TAG_NULL_STREAMS: u8 = 7;
const TAG_MAX_OPEN_FILES: u8 = 8;
const LAST_TAG: u8 = TAG_MAX_OPEN_FILES;

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
    /// An environment variable passed through when it is set: `KEY`. Empty: every variable.
    InheritEnv(&'a [u8]),
    /// An argument that goes before those of the command line (behind argv\[0\]).
    Arg(&'a [u8]),
    /// A TCP socket that listens from the start, for the guest to accept connections.
    TcpListen {
        /// The kernel's `struct sockaddr_in` or `sockaddr_in6`, see [`socket_address`].
        address: &'a [u8],
        /// The same for a person: `127.0.0.1:8080`.
        name: &'a [u8],
    },
    /// Numbers of the standard streams (a byte each) that are nothing: at their end when read, writes
    /// are lost.
    NullStreams(&'a [u8]),
    /// Descriptors that the guest may have at a time, standard streams and grants included: a
    /// little-endian `u32`, see [`number`].
    MaxOpenFiles(&'a [u8]),
}

/// Most descriptors that any guest can have at a time, standard streams and grants included.
pub const MAX_OPEN_FILES: u32 = 4096;

/// The first descriptor behind the standard streams: granted directories have the numbers from here on in
/// the order of the command line, and behind them granted sockets.
pub const FIRST_GRANT: u32 = 3;

/// Reads what [`Entry::MaxOpenFiles`] holds.
#[must_use]
pub fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.first_chunk()?))
}

/// An address as the kernel wants it. All our targets are little-endian and have the same numbers for
/// address families.
#[cfg(feature = "write")]
#[must_use]
pub fn socket_address(address: &core::net::SocketAddr) -> alloc::vec::Vec<u8> {
    use core::net::SocketAddr;
    const AF_INET: u16 = 2;
    const AF_INET6: u16 = 10;

    let mut bytes = alloc::vec::Vec::new();
    match address {
        SocketAddr::V4(address) => {
            bytes.extend_from_slice(&AF_INET.to_le_bytes());
            bytes.extend_from_slice(&address.port().to_be_bytes());
            bytes.extend_from_slice(&address.ip().octets());
            bytes.extend_from_slice(&[0; 8]);
        }
        SocketAddr::V6(address) => {
            bytes.extend_from_slice(&AF_INET6.to_le_bytes());
            bytes.extend_from_slice(&address.port().to_be_bytes());
            bytes.extend_from_slice(&address.flowinfo().to_be_bytes());
            bytes.extend_from_slice(&address.ip().octets());
            bytes.extend_from_slice(&address.scope_id().to_le_bytes());
        }
    }
    bytes
}

/// The environment variable of a process that drops grants of the executable it runs: words with commas
/// between them. The guest never sees it.
pub const DENY: &str = "ELFIN_DENY";

/// Kinds of grants that [`DENY`] can name: word and bit.
pub const DENIABLE: [(&str, u8); 3] = [
    ("dir", denied::DIR),
    ("net", denied::NET),
    ("env", denied::ENV),
];

/// Bits for kinds of grants.
pub mod denied {
    /// Granted directories.
    pub const DIR: u8 = 1;
    /// Granted sockets.
    pub const NET: u8 = 2;
    /// Environment variables, inherited and sealed ones.
    pub const ENV: u8 = 4;
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
        let entry = self.read();
        if entry.is_none() {
            self.rest = &[];
        }
        entry
    }
}

impl<'a> Entries<'a> {
    /// Every entry has one string, some have two: read at one place, this is in every program that asks
    /// for its arguments.
    #[inline]
    fn read(&mut self) -> Option<Entry<'a>> {
        let (&tag, rest) = self.rest.split_first()?;
        self.rest = rest;
        if tag == TAG_END || tag > LAST_TAG {
            return None;
        }
        let first = self.string()?;
        let second = match tag {
            TAG_DIR | TAG_DIR_READ_ONLY | TAG_TCP_LISTEN => self.string()?,
            _ => &[],
        };
        Some(match tag {
            TAG_DIR | TAG_DIR_READ_ONLY => Entry::Dir {
                host: first,
                guest: second,
                read_only: tag == TAG_DIR_READ_ONLY,
            },
            TAG_ENV => Entry::Env(first),
            TAG_INHERIT_ENV => Entry::InheritEnv(first),
            TAG_ARG => Entry::Arg(first),
            TAG_TCP_LISTEN => Entry::TcpListen {
                address: first,
                name: second,
            },
            TAG_NULL_STREAMS => Entry::NullStreams(first),
            _ => Entry::MaxOpenFiles(first),
        })
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
            Entry::TcpListen { address, name } => put(&mut block, TAG_TCP_LISTEN, &[address, name]),
            Entry::NullStreams(streams) => put(&mut block, TAG_NULL_STREAMS, &[streams]),
            Entry::MaxOpenFiles(number) => put(&mut block, TAG_MAX_OPEN_FILES, &[number]),
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
        Entry::TcpListen {
            address: b"abc",
            name: b"127.0.0.1:80",
        },
        Entry::NullStreams(&[0, 2]),
        Entry::MaxOpenFiles(&[0, 1, 0, 0]),
    ];

    #[test]
    fn addresses_are_the_kernel_s() {
        let bytes = |text: &str| socket_address(&text.parse().unwrap());
        assert_eq!(
            bytes("127.0.0.1:8080"),
            [2, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        let mut expected = [0; 28];
        expected[..4].copy_from_slice(&[10, 0, 0, 80]);
        expected[8] = 0xfe;
        expected[9] = 0x80;
        expected[23] = 1;
        expected[24] = 3;
        assert_eq!(bytes("[fe80::1%3]:80"), expected);
        assert_eq!(number(&[0, 1, 0, 0]), Some(256));
        assert_eq!(number(&[0, 1, 0]), None);
    }

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
