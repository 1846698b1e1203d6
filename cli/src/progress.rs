//! The progress display of long builds.
//!
//! In: the compiler's reports, from several threads. Out: a bar on standard error, after [`PATIENCE`],
//! and only when that is a terminal; removed when the build is done.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How long a build may take without showing anything.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shows how far a compilation is.
pub(crate) struct Display {
    what: String,
    started: Instant,
    enabled: bool,
    total: AtomicU64,
    done: AtomicU64,
    bar: OnceLock<ProgressBar>,
}

impl Display {
    /// A display for `what`, not shown yet.
    pub(crate) fn new(what: String) -> Self {
        Self {
            what,
            started: Instant::now(),
            enabled: std::io::stderr().is_terminal(),
            total: AtomicU64::new(0),
            done: AtomicU64::new(0),
            bar: OnceLock::new(),
        }
    }

    fn make_bar(&self) -> ProgressBar {
        let style =
            ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} functions, {elapsed}")
                .map_or_else(
                    |_| ProgressStyle::default_bar(),
                    |style| style.progress_chars("=> "),
                );
        ProgressBar::new(self.total.load(Ordering::Relaxed))
            .with_style(style)
            .with_message(self.what.clone())
            .with_elapsed(self.started.elapsed())
    }
}

impl elfin_compiler::Progress for Display {
    fn start(&self, functions: usize) {
        self.total.store(functions as u64, Ordering::Relaxed);
    }

    fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.enabled && self.started.elapsed() >= PATIENCE {
            self.bar.get_or_init(|| self.make_bar()).set_position(done);
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
