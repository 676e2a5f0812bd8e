//! When a run looks at what tells nobody that it changed: the process table, and children that ended.
//!
//! All such looks fall on the same moments. Woken for each of them by itself, a run that waits used more processor time for waking than for
//! looking.

use std::time::{Duration, SystemTime};

/// From one look to the next.
pub(crate) const TICK: Duration = Duration::from_millis(150);

/// Waits for the next of the moments.
pub(crate) async fn tick() {
    tokio::time::sleep(until_next(SystemTime::now())).await;
}

/// The moments are the multiples of [`TICK`] of the time of day, which needs no agreement. A clock that is set costs one look.
fn until_next(now: SystemTime) -> Duration {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let past = since.as_nanos() % TICK.as_nanos();
    TICK - Duration::from_nanos(u64::try_from(past).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_between_two_moments_is_told_the_same_one() {
        let at = |ms: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        let next = |ms: u64| at(ms) + until_next(at(ms));
        let tick = u64::try_from(TICK.as_millis()).unwrap_or_default();
        assert_eq!([next(0), next(1), next(tick - 1)], [at(tick); 3]);
        assert_eq!(next(tick), at(2 * tick), "a moment that is there is over");
    }
}
