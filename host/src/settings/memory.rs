//! The limits of a configuration, fitted into the memory that its component may use.

use abort_reason::Limits;

/// What the component takes beside what its limits bound: its code's data, a batch on its way in and out.
const BESIDE: usize = 12 << 20;
/// Memory of the component for each byte that the limits count, in halves: what was freed is not given back, and lists
/// grow by doubling. Measured: 235 MB for 67 MB.
const HALVES: usize = 5;
/// Bytes for each of `seen_ids`.
const SEEN: usize = 24;

/// What a host has for a component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Memory, in bytes.
    pub memory: usize,
    /// Bytes on disk for the events that it keeps, where they are kept there.
    pub disk: Option<u64>,
}

/// The limits that fit, where they are lower than those given.
pub(crate) fn fitted(given: &Limits, Room { memory, disk }: Room) -> Option<Limits> {
    // An event may be several times what is kept of its line, and others need room as well.
    let most = disk.map_or(usize::MAX, |bytes| usize::try_from(bytes / EVENT).unwrap_or(usize::MAX));
    let limits = Limits { join_bytes: given.join_bytes.min(most), ..*given };
    fitted_into(&limits, memory).or((limits.join_bytes < given.join_bytes).then_some(limits))
}

/// Of the bytes on disk one in so many may be evidence and aborts, as they are counted.
const EVENT: u64 = 8;

fn fitted_into(limits: &Limits, memory_bytes: usize) -> Option<Limits> {
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
        let fitted = |mib, disk| fitted(&limits, Room { memory: mib << 20, disk });
        assert_eq!(fitted(512, None), None);
        assert_eq!(fitted(512, Some(1 << 30)), None);
        assert_eq!(fitted(512, Some(16 << 20)).map(|limits| limits.join_bytes), Some(2 << 20));
        let mut before = 0;
        for mib in [16, 32, 64, 128] {
            let fitted = fitted(mib, None).unwrap();
            let counted = fitted.join_bytes + fitted.passed_bytes;
            assert!(
                counted > before && counted * HALVES / 2 + fitted.seen_ids * SEEN + BESIDE <= mib << 20,
                "{mib}: {fitted:?}"
            );
            before = counted;
        }
    }
}
