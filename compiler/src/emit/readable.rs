//! Names of functions as people read them.
//!
//! In: what the name section of a module says. Out: for what rustc wrote, the path of the function in its source, without
//! hashes. (Clang writes readable names itself.) A name never gets longer: those that say much in a few bytes, and
//! those made to say a million, stay as they are.

use std::fmt::{self, Write};

/// Text of at most `limit` bytes.
struct Limited {
    text: String,
    limit: usize,
}

impl Write for Limited {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if part.len() > self.limit - self.text.len() {
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}

/// A name for backtraces; what is linked in has the module's name and `!` in front.
pub(super) fn readable(name: String) -> String {
    let start = match name.split_once('!') {
        Some((module, _)) if rustc_demangle::try_demangle(&name).is_err() => module.len() + 1,
        _ => 0,
    };
    let Ok(path) = rustc_demangle::try_demangle(&name[start..]) else {
        return name;
    };
    let mut out = Limited {
        text: name[..start].to_owned(),
        limit: name.len(),
    };
    match write!(out, "{path:#}") {
        Ok(()) => out.text,
        Err(fmt::Error) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn what_rustc_wrote_is_a_path() {
        for (name, expected) in [
            ("_ZN3thr4main1f17hb8d303d25f4661fbE", "thr::main::f"),
            (
                "_ZN3thr4main28_$u7b$$u7b$closure$u7d$$u7d$1f17hb8d303d25f4661fbE",
                "thr::main::{{closure}}::f",
            ),
            (
                "_RNvNtCscFLQViUS3Yz_4core9panicking9panic_fmt",
                "core::panicking::panic_fmt",
            ),
            (
                "app!_RNvNtCscFLQViUS3Yz_4core9panicking9panic_fmt",
                "app!core::panicking::panic_fmt",
            ),
            // Everything else stays.
            ("main", "main"),
            ("app!func[7]", "app!func[7]"),
            (
                "std::vector<int>::at(unsigned long) const",
                "std::vector<int>::at(unsigned long) const",
            ),
            ("_ZNSt6vectorE", "_ZNSt6vectorE"),
            ("a!b!c", "a!b!c"),
            ("", ""),
        ] {
            assert_eq!(readable(name.to_owned()), expected);
        }
    }

    /// Arguments of which each is a pair of the one before, said in eight bytes.
    fn pairs(levels: usize) -> String {
        const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut name = "IC1aTyyE".to_owned();
        for level in 0..levels {
            let before = char::from(DIGITS[if level == 0 { 3 } else { 8 * level - 1 }]);
            name.push_str(&format!("TB{before}_B{before}_E"));
        }
        format!("_R{name}E")
    }

    #[test]
    fn what_would_get_longer_stays() {
        for name in ["_RINvC1a1fTyyyyyyyyyyEE".to_owned(), pairs(7)] {
            let path = rustc_demangle::try_demangle(&name).expect("a name of Rust");
            assert!(format!("{path:#}").len() > name.len(), "{path:#}");
            assert_eq!(readable(name.clone()), name);
        }
    }
}
