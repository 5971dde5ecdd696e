//! What was learned, as bytes that can be kept.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `SEAWALLH` |
//! | 4 | the version of the format |
//! | 4 | the length of what follows, without the check |
//! | 4 | local time ahead of UTC, in minutes |
//! | 168 × 32 | calls, mean, squares (doubles), and when it last learned (seconds since the epoch) |
//! | 8 | FNV-1a over everything before it |
//!
//! All little-endian. A file that was cut short anywhere, or has other bytes in it, is told from a whole one.

use super::baseline::{Baseline, Hour};
use super::week::{HOURS, UtcOffset};

/// The version of the format that is written, and the only one that is read.
pub const FORMAT_VERSION: u32 = 1;
/// Nothing longer than this is a history, of any version.
pub const MAX_HISTORY_BYTES: usize = 64 * 1024;

const MAGIC: &[u8; 8] = b"SEAWALLH";
const HEAD: usize = MAGIC.len() + 4 + 4;
const BODY: usize = 4 + HOURS * 32;
const CHECK: usize = 8;

/// What a breaker has learned about every hour of the week, for keeping between runs.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    pub(super) offset: UtcOffset,
    pub(super) baseline: Box<Baseline>,
}

/// These bytes are no history that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It does not begin as one.
    #[error("it is not a history of Seawall's")]
    Foreign,
    /// Another version of Seawall wrote it.
    #[error("it has format version {0}; this Seawall reads version {FORMAT_VERSION}")]
    Version(u32),
    /// It was cut short, or bytes in it are not what was written.
    #[error("it is damaged, perhaps cut short")]
    Damaged,
    /// It is longer than any history.
    #[error("it is longer than {MAX_HISTORY_BYTES} bytes")]
    TooLong,
}

impl History {
    /// As bytes, 5,404 of them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + BODY + CHECK);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&(BODY as u32).to_le_bytes());
        bytes.extend_from_slice(&self.offset.minutes().to_le_bytes());
        for hour in &self.baseline.0 {
            for number in [hour.calls, hour.mean, hour.squares] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(&hour.at_s.to_le_bytes());
        }
        bytes.extend_from_slice(&fnv_1a(&bytes).to_le_bytes());
        bytes
    }

    /// What [`History::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`]: they are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let start = &bytes[..bytes.len().min(MAGIC.len())];
        if !MAGIC.starts_with(start) {
            return Err(Unreadable::Foreign);
        }
        let mut rest = Reader(&bytes[start.len()..]);
        let version = rest.u32().ok_or(Unreadable::Damaged)?;
        if version != FORMAT_VERSION {
            return Err(Unreadable::Version(version));
        }
        if bytes.len() > MAX_HISTORY_BYTES {
            return Err(Unreadable::TooLong);
        }
        if bytes.len() != HEAD + BODY + CHECK {
            return Err(Unreadable::Damaged);
        }
        let (written, check) = bytes.split_at(HEAD + BODY);
        if Reader(check).u64() != Some(fnv_1a(written)) {
            return Err(Unreadable::Damaged);
        }
        rest.body().ok_or(Unreadable::Damaged)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn f64(&mut self) -> Option<f64> {
        self.take().map(f64::from_le_bytes)
    }

    /// From the length on.
    fn body(&mut self) -> Option<History> {
        if self.u32()? != BODY as u32 {
            return None;
        }
        let offset = UtcOffset::from_minutes(self.take().map(i32::from_le_bytes)?)?;
        let mut baseline = Box::<Baseline>::default();
        for hour in &mut baseline.0 {
            let (calls, mean, squares) = (self.f64()?, self.f64()?, self.f64()?);
            let read = Hour { calls, mean, squares, at_s: self.u64()? };
            // The check may be right and the writer wrong: nothing that could not be learned gets in.
            *hour = read.is_sound().then_some(read)?;
        }
        Some(History { offset, baseline })
    }
}

/// G. Fowler, L. C. Noll, K.-P. Vo: draft-eastlake-fnv, 64 bits.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}
