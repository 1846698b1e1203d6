//! Options that decide what the program may touch beyond files and variables: `--tcp-listen`, the standard
//! streams, limits, `--config`; and the value of `--inherit-env`.
//!
//! In: words of the command line. Out: typed values, each parsed on its own ([`crate::plan`] compares them).

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use elfin_abi::policy;

/// Part of [`crate::args::ProgramArgs`].
#[derive(Args, Clone, Debug)]
pub(crate) struct GrantArgs {
    /// Grant a TCP socket that listens on this address from the start, to accept connections from:
    /// descriptor 3 plus the number of granted directories, then the next
    #[arg(long = "tcp-listen", value_name = "ADDR:PORT", value_parser = parse_tcp_listen)]
    pub(crate) tcp_listen: Vec<SocketAddr>,

    /// Standard input of the program: the process's own, or nothing to read
    #[arg(long, value_name = "WHAT", default_value = "inherit")]
    pub(crate) stdin: Stream,

    /// Standard output of the program: the process's own, or none (`null`)
    #[arg(long, value_name = "WHAT", default_value = "inherit")]
    pub(crate) stdout: Stream,

    /// Standard error of the program: the process's own, or none; traps are reported in any case
    #[arg(long, value_name = "WHAT", default_value = "inherit")]
    pub(crate) stderr: Stream,

    /// How many descriptors the program may have at a time, standard streams and grants included
    /// [default: 4096]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=i64::from(policy::MAX_OPEN_FILES)))]
    pub(crate) max_open_files: Option<u32>,

    /// Read more options of this kind from a TOML file: keys are their long names; what is given here
    /// is added, or replaces what the file says. No file is read unless it is named
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// `--stdin`, `--stdout`, `--stderr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stream {
    /// The process's own
    Inherit,
    /// Nothing
    Null,
}

/// `--inherit-env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InheritEnv {
    /// Every variable.
    All,
    /// One, by name.
    Key(OsString),
}

/// The value of `--inherit-env` that stands for all variables.
pub(crate) const ALL: &str = "*";

/// `--inherit-env [KEY]`.
pub(crate) fn parse_inherit_env(value: &OsStr) -> Result<InheritEnv, String> {
    let bytes = value.as_bytes();
    if bytes == ALL.as_bytes() {
        Ok(InheritEnv::All)
    } else if bytes.is_empty() {
        Err("the name is empty".into())
    } else if bytes.contains(&b'=') {
        Err("a name has no `=`; to set a variable, use --env".into())
    } else if bytes.contains(&0) {
        Err("a name has no NUL".into())
    } else if bytes == policy::DENY.as_bytes() {
        Err("the runtime reads this variable; programs never see it".into())
    } else if bytes.ends_with(b".wasm") || bytes.ends_with(b".wat") {
        Err("this looks like the module; for all variables, put --inherit-env behind it".into())
    } else {
        Ok(InheritEnv::Key(value.into()))
    }
}

/// `--tcp-listen ADDR:PORT`.
fn parse_tcp_listen(value: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = value.parse().map_err(|_| {
        "an address is a number and a port, such as 127.0.0.1:8080, 0.0.0.0:80 or [::1]:8080; names are \
         not looked up"
    })?;
    if address.port() == 0 {
        return Err("the port must not be 0: nobody would learn which one it became".into());
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inherited_variables() {
        let parse = |value: &str| parse_inherit_env(OsStr::new(value));
        assert_eq!(parse("HOME"), Ok(InheritEnv::Key("HOME".into())));
        assert_eq!(parse("*"), Ok(InheritEnv::All));
        for (wrong, says) in [
            ("A=b", "--env"),
            ("", "empty"),
            ("ELFIN_DENY", "never"),
            ("app.wasm", "module"),
            ("x/app.wat", "module"),
        ] {
            assert!(parse(wrong).unwrap_err().contains(says), "{wrong}");
        }
    }

    #[test]
    fn addresses() {
        for right in ["127.0.0.1:80", "0.0.0.0:65535", "[::]:1", "[fe80::1%2]:80"] {
            assert_eq!(
                parse_tcp_listen(right).map(|address| address.to_string()),
                Ok(right.into())
            );
        }
        for wrong in [
            "",
            "80",
            ":80",
            "localhost:80",
            "127.0.0.1",
            "127.0.0.1:0",
            "::1:80",
            "1.2.3:80",
            "127.0.0.1:65536",
        ] {
            assert!(parse_tcp_listen(wrong).is_err(), "{wrong}");
        }
    }
}
