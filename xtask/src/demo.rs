//! x
pub(crate) fn run() -> crate::shell::Result<()> {
    Ok(())
}
