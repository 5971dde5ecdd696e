//! Histories in a directory, a file for each dependency.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::breaker::adaptive::{History, HistoryStore, Loaded, MAX_HISTORY_BYTES, Unreadable};

/// How much of a name is readable in its file's.
const READABLE: usize = 48;

/// Keeps histories in a directory: `payments-1b2f….history` and, beside it, the one before, `….previous`.
///
/// A history is written to a file of its own, synced, and moved into place, so that at every moment
/// there is a whole one. One that cannot be read is moved aside, to `….history.unreadable` (or
/// `….history.v2`, if a later Seawall wrote it), and the one before it is used. One process a directory: of two, the last to write wins.
#[derive(Debug)]
pub struct FileStore {
    directory: PathBuf,
}

impl FileStore {
    /// Keeps them in `directory`, which is made if it is not there.
    ///
    /// # Errors
    /// The directory cannot be made, or is none.
    pub fn new(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    fn path(&self, dependency: &str, extension: &str) -> PathBuf {
        self.directory.join(format!("{}.{extension}", file_name(dependency)))
    }

    /// One generation; `None` if there is no such file, or none that can be read, which is moved aside.
    fn read(&self, path: &Path, rejected: &mut Vec<String>) -> io::Result<Option<History>> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(file) => file.take(MAX_HISTORY_BYTES as u64 + 1).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let why = match History::from_bytes(&bytes) {
            Ok(history) => return Ok(Some(history)),
            Err(why) => why,
        };
        let extension = match why {
            Unreadable::Version(version) => format!("v{version}"),
            _ => "unreadable".to_owned(),
        };
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{extension}"));
        let aside = PathBuf::from(aside);
        // Out of the way, or it would be taken for the good one before when the next is written.
        fs::rename(path, &aside)?;
        rejected.push(format!("{}: {why}; moved to {}", path.display(), aside.display()));
        Ok(None)
    }
}

impl HistoryStore for FileStore {
    fn load(&self, dependency: &str) -> io::Result<Loaded> {
        let mut rejected = Vec::new();
        let mut history = None;
        for generation in ["history", "previous"] {
            if history.is_none() {
                history = self.read(&self.path(dependency, generation), &mut rejected)?;
            }
        }
        Ok(Loaded { history, rejected })
    }

    fn save(&self, dependency: &str, history: &History) -> io::Result<()> {
        let [latest, previous, new] =
            ["history", "previous", "new"].map(|extension| self.path(dependency, extension));
        let mut file = File::create(&new)?;
        file.write_all(&history.to_bytes())?;
        // Before it has a name that counts: else the name could be there and the bytes not.
        file.sync_all()?;
        drop(file);
        // The one that stops here leaves the one before, under the name that is read next.
        match fs::rename(&latest, &previous) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(&new, &latest)?;
        self.sync_directory()
    }
}

impl FileStore {
    /// Makes the new names last.
    #[cfg(unix)]
    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    /// Elsewhere a directory cannot be opened for that.
    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the same face as on unix")]
    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A name that no file system minds, and that no other dependency has: what can be read of its own, and a
/// hash of all of it.
fn file_name(dependency: &str) -> String {
    let readable = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let mut name: String = dependency.chars().take(READABLE).map(readable).collect();
    name.make_ascii_lowercase();
    // FNV-1a, 64 bits: the same on every machine and in every version.
    let hash = dependency.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    format!("{name}-{hash:016x}")
}

#[cfg(test)]
mod tests;
