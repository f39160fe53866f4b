//! The limits of a configuration, fitted into the memory that its component may use.

use abort_reason::Limits;

/// What the component takes beside what its limits bound: its code's data, a batch on its way in and out.
const BESIDE: usize = 12 << 20;
/// Memory of the component for each byte that the limits count, in halves: what was freed is not given back, and lists
/// grow by doubling. Measured: 235 MB for 67 MB.
const HALVES: usize = 5;
/// Bytes for each of `seen_ids`.
const SEEN: usize = 24;

/// The limits that fit, where they are lower than those given.
pub(crate) fn fitted(limits: &Limits, memory_bytes: usize) -> Option<Limits> {
    let room = memory_bytes.saturating_sub(BESIDE);
    // Ids seen are of use only beside what they are told of.
    let mut seen_ids = limits.seen_ids;
    while seen_ids > 16 && seen_ids.next_power_of_two() * SEEN > room / 3 {
        seen_ids /= 2;
    }
    let room = room.saturating_sub(seen_ids.next_power_of_two() * SEEN) / HALVES * 2;
    let asked = limits.join_bytes + limits.passed_bytes;
    if asked <= room && seen_ids == limits.seen_ids {
        return None;
    }
    let part =
        |bytes: usize| if asked <= room { bytes } else { (bytes as u128 * room as u128 / asked as u128) as usize };
    Some(Limits {
        join_bytes: part(limits.join_bytes).max(64 << 10),
        passed_bytes: part(limits.passed_bytes),
        seen_ids,
        ..*limits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_fit_into_the_memory() {
        let limits = Limits::default();
        assert_eq!(fitted(&limits, 512 << 20), None);
        let mut before = 0;
        for mib in [16, 32, 64, 128] {
            let fitted = fitted(&limits, mib << 20).unwrap();
            let counted = fitted.join_bytes + fitted.passed_bytes;
            assert!(
                counted > before && counted * HALVES / 2 + fitted.seen_ids * SEEN + BESIDE <= mib << 20,
                "{mib}: {fitted:?}"
            );
            before = counted;
        }
    }
}
