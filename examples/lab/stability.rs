use crate::scenarios::Result;
pub(crate) fn run(_: u64) -> Result {
    Err("no".into())
}
