//! What takes away from a guest before it starts: `ELFIN_DENY`, streams that are nothing, a limit to its
//! descriptors.
//!
//! In: the process's environment and the sealed policy. Out: kinds of grants that do not count any more
//! ([`policy::is_denied`]), entries of the descriptor table, its limit. Nothing here can give anything.
//! What can't be done as asked ends the process.
#![allow(
    unsafe_code,
    reason = "exports symbols; walks the kernel's environment block"
)]

use super::environ;
use crate::fd_table;
use crate::message::Message;
use crate::{policy, start};
use elfin_abi::policy::{DENIABLE, DENY, Entry};
use rustix::fs::{CWD, Mode, OFlags};

/// Reads `ELFIN_DENY`: if it is there more than once, all of them count.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_setup_deny() {
    let mut block = start::environment();
    let mut kinds = 0;
    while let Some(pair) = environ::take(&mut block) {
        if let Some([b'=', list @ ..]) = pair.strip_prefix(DENY.as_bytes()) {
            match denied(list) {
                Ok(more) => kinds |= more,
                Err(word) => refuse(word),
            }
        }
    }
    policy::deny(kinds);
}

/// The kinds in a list of words with commas between them, or the word that is none of them.
fn denied(list: &[u8]) -> Result<u8, &[u8]> {
    let mut kinds = 0;
    if list.is_empty() {
        return Ok(kinds);
    }
    for word in list.split(|&byte| byte == b',') {
        match DENIABLE.iter().find(|(name, _)| name.as_bytes() == word) {
            Some((_, kind)) => kinds |= kind,
            None => return Err(word),
        }
    }
    Ok(kinds)
}

#[cold]
fn refuse(word: &[u8]) -> ! {
    let mut message = Message::new("elfin: error: ELFIN_DENY: unknown word '");
    message.escaped(word);
    message.text("'; the words are dir, net and env, with commas between them\n");
    message.send();
    start::exit(start::EXIT_ERROR)
}

/// Puts nothing in the place of standard streams. The process keeps its own: traps are still reported.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_setup_streams() {
    for entry in policy::entries() {
        let Entry::NullStreams(streams) = entry else {
            continue;
        };
        for &stream in streams {
            let done = rustix::fs::openat(
                CWD,
                c"/dev/null",
                OFlags::RDWR | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .is_ok_and(|null| fd_table::redirect(stream.into(), null).is_ok());
            if !done {
                Message::new("elfin: error: cannot open /dev/null for a standard stream\n").send();
                start::exit(start::EXIT_ERROR);
            }
        }
    }
}

/// Lowers the number of descriptors.
#[unsafe(no_mangle)]
pub extern "C" fn elfin_setup_limits() {
    for entry in policy::entries() {
        if let Entry::MaxOpenFiles(bytes) = entry
            && let Some(max) = elfin_abi::policy::number(bytes)
        {
            fd_table::limit(max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elfin_abi::policy::denied::{DIR, ENV, NET};

    #[test]
    fn lists_of_words() {
        for (list, kinds) in [
            (&b""[..], Ok(0)),
            (b"dir", Ok(DIR)),
            (b"net,env", Ok(NET | ENV)),
            (b"env,env,dir,net", Ok(DIR | NET | ENV)),
            (b"dirs", Err(&b"dirs"[..])),
            (b"dir,", Err(b"")),
            (b",", Err(b"")),
            (b"dir, net", Err(b" net")),
            (b"net,DIR", Err(b"DIR")),
        ] {
            assert_eq!(denied(list), kinds);
        }
    }
}
