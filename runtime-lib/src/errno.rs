//! Error codes of WASI preview 1, and how Linux's become them.
//!
//! In: errors of the kernel, or our own decisions. Out: the `i32` that a host function returns
//! (witx `typenames`, `errno`). It must not know files, paths or guests.

macro_rules! errnos {
    ($($name:ident = $code:literal $(, $linux:ident)*;)*) => {
        /// A WASI error code. Success is not among them: it is `Ok(())`.
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the names are POSIX's without their E")]
        pub enum Errno { $($name = $code,)* }

        /// WASI's code for each Linux code; the same numbers on all our targets (`asm-generic/errno.h`).
        static FROM_LINUX: [Errno; 134] = {
            let mut table = [Errno::Io; 134];
            $($(table[rustix::io::Errno::$linux.raw_os_error() as usize] = Errno::$name;)*)*
            table
        };
    };
}

errnos! {
    TooBig = 1, TOOBIG;
    Acces = 2, ACCESS;
    AddrInUse = 3, ADDRINUSE;
    AddrNotAvail = 4, ADDRNOTAVAIL;
    AfNoSupport = 5, AFNOSUPPORT;
    Again = 6, AGAIN;
    Already = 7, ALREADY;
    BadF = 8, BADF;
    BadMsg = 9, BADMSG;
    Busy = 10, BUSY;
    Canceled = 11, CANCELED;
    Child = 12, CHILD;
    ConnAborted = 13, CONNABORTED;
    ConnRefused = 14, CONNREFUSED;
    ConnReset = 15, CONNRESET;
    DeadLk = 16, DEADLK;
    DestAddrReq = 17, DESTADDRREQ;
    Dom = 18, DOM;
    DQuot = 19, DQUOT;
    Exist = 20, EXIST;
    Fault = 21, FAULT;
    FBig = 22, FBIG;
    HostUnreach = 23, HOSTUNREACH;
    IdRm = 24, IDRM;
    IlSeq = 25, ILSEQ;
    InProgress = 26, INPROGRESS;
    Intr = 27, INTR;
    Inval = 28, INVAL;
    Io = 29, IO;
    IsConn = 30, ISCONN;
    IsDir = 31, ISDIR;
    Loop = 32, LOOP;
    MFile = 33, MFILE;
    MLink = 34, MLINK;
    MsgSize = 35, MSGSIZE;
    Multihop = 36, MULTIHOP;
    NameTooLong = 37, NAMETOOLONG;
    NetDown = 38, NETDOWN;
    NetReset = 39, NETRESET;
    NetUnreach = 40, NETUNREACH;
    NFile = 41, NFILE;
    NoBufs = 42, NOBUFS;
    NoDev = 43, NODEV;
    NoEnt = 44, NOENT;
    NoExec = 45, NOEXEC;
    NoLck = 46, NOLCK;
    NoLink = 47, NOLINK;
    NoMem = 48, NOMEM;
    NoMsg = 49, NOMSG;
    NoProtoOpt = 50, NOPROTOOPT;
    NoSpc = 51, NOSPC;
    NoSys = 52, NOSYS;
    NotConn = 53, NOTCONN;
    NotDir = 54, NOTDIR;
    NotEmpty = 55, NOTEMPTY;
    NotRecoverable = 56, NOTRECOVERABLE;
    NotSock = 57, NOTSOCK;
    NotSup = 58, OPNOTSUPP;
    NoTty = 59, NOTTY;
    NxIo = 60, NXIO;
    Overflow = 61, OVERFLOW;
    OwnerDead = 62, OWNERDEAD;
    Perm = 63, PERM;
    Pipe = 64, PIPE;
    Proto = 65, PROTO;
    ProtoNoSupport = 66, PROTONOSUPPORT;
    Prototype = 67, PROTOTYPE;
    Range = 68, RANGE;
    RoFs = 69, ROFS;
    SPipe = 70, SPIPE;
    Srch = 71, SRCH;
    Stale = 72, STALE;
    TimedOut = 73, TIMEDOUT;
    TxtBsy = 74, TXTBSY;
    XDev = 75, XDEV;
    NotCapable = 76;
}

impl From<rustix::io::Errno> for Errno {
    fn from(error: rustix::io::Errno) -> Self {
        FROM_LINUX
            .get(error.raw_os_error() as usize)
            .copied()
            .unwrap_or(Errno::Io)
    }
}

/// What a host function returns to the guest.
#[must_use]
pub fn code(result: Result<(), Errno>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(errno) => errno as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_codes_become_those_of_the_witx() {
        for (linux, wasi) in [
            (rustix::io::Errno::TOOBIG, 1),
            (rustix::io::Errno::BADF, 8),
            (rustix::io::Errno::NOENT, 44),
            (rustix::io::Errno::NOTSUP, 58),
            (rustix::io::Errno::PIPE, 64),
            (rustix::io::Errno::XDEV, 75),
            (rustix::io::Errno::HWPOISON, 29),
        ] {
            assert_eq!(code(Err(linux.into())), wasi, "{linux:?}");
        }
    }

    #[test]
    fn a_code_beyond_the_table_is_an_io_error() {
        assert_eq!(
            Errno::from(rustix::io::Errno::from_raw_os_error(4000)),
            Errno::Io
        );
    }
}
