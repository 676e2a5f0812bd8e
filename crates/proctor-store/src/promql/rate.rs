//! The arithmetic of counters and histograms: rates, steps, bucket quantiles, as Prometheus defines them.

use super::eval::Window;

/// Neighbouring values.
pub(super) fn steps(window: &Window) -> impl Iterator<Item = (f64, f64)> {
    window.samples.windows(2).map(|pair| (pair[0].1, pair[1].1))
}

/// Increase (or rate per second) over the window, extended to its ends where the samples come near them. A counter that
/// falls was reset.
pub(super) fn extrapolated(window: &Window, counter: bool, per_second: bool) -> Option<f64> {
    let (first, last) = (window.samples.first()?, window.samples.last()?);
    if window.samples.len() < 2 {
        return None;
    }
    let resets: f64 = if counter { steps(window).filter(|(a, b)| b < a).map(|(a, _)| a).sum() } else { 0.0 };
    let grown = last.1 - first.1 + resets;
    let sampled = seconds(last.0 - first.0);
    let average = sampled / (window.samples.len() - 1) as f64;
    let near = |gap: f64| if gap >= average * 1.1 { average / 2.0 } else { gap };
    let mut before = near(seconds(first.0 - window.from));
    if counter && grown > 0.0 && first.1 >= 0.0 {
        // A counter cannot have been below zero before its first sample.
        before = before.min(sampled * (first.1 / grown));
    }
    let after = near(seconds(window.to - last.0));
    let total = grown * ((sampled + before + after) / sampled);
    Some(if per_second { total / seconds(window.to - window.from) } else { total })
}

/// Rate (or difference) of the last two samples.
pub(super) fn instant(window: &Window, per_second: bool) -> Option<f64> {
    let [.., before, last] = window.samples.as_slice() else { return None };
    let grown = if per_second && last.1 < before.1 { last.1 } else { last.1 - before.1 };
    Some(if per_second { grown / seconds(last.0 - before.0) } else { grown })
}

/// The quantile of a histogram from its buckets (upper bound, values at most that), by linear interpolation.
pub(super) fn bucket_quantile(part: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    if part.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&part) {
        return if part < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    if buckets.len() < 2 || buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
        return f64::NAN;
    }
    rising(&mut buckets);
    let last = buckets.len() - 1;
    let total = buckets[last].1;
    if total == 0.0 {
        return f64::NAN;
    }
    let rank = part * total;
    let at = buckets[..last].partition_point(|bucket| bucket.1 < rank);
    if at == last {
        return buckets[last - 1].0;
    }
    let (end, count) = buckets[at];
    if at == 0 && end <= 0.0 {
        return end;
    }
    let (start, below) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
    if count == below { start } else { start + (end - start) * ((rank - below) / (count - below)) }
}

/// Counts must not fall from bucket to bucket; where series were mixed they can.
fn rising(buckets: &mut [(f64, f64)]) {
    let mut most = 0.0_f64;
    for bucket in buckets {
        most = most.max(bucket.1);
        bucket.1 = most;
    }
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(samples: &[(i64, f64)], from: i64, to: i64) -> Window {
        Window { labels: Default::default(), samples: samples.to_vec(), from, to }
    }

    #[test]
    fn an_evenly_sampled_counter_has_its_true_rate() {
        let steady: Vec<(i64, f64)> = (1..=10).map(|n| (n * 10_000, n as f64 * 10.0)).collect();
        let window = window(&steady, 0, 100_000);
        assert_eq!(extrapolated(&window, true, true), Some(1.0));
        assert_eq!(extrapolated(&window, true, false), Some(100.0));
    }

    #[test]
    fn a_reset_does_not_count_as_a_fall() {
        let window = window(&[(0, 0.0), (10_000, 5.0), (20_000, 2.0)], 0, 20_000);
        assert_eq!(extrapolated(&window, true, false), Some(7.0));
        assert_eq!(extrapolated(&window, false, false), Some(2.0));
    }

    #[test]
    fn one_sample_gives_no_rate() {
        assert_eq!(extrapolated(&window(&[(5, 1.0)], 0, 10), true, true), None);
        assert_eq!(instant(&window(&[(5, 1.0)], 0, 10), true), None);
    }

    #[test]
    fn a_quantile_lies_inside_its_bucket() {
        let buckets = vec![(10.0, 50.0), (20.0, 90.0), (f64::INFINITY, 100.0)];
        assert_eq!(bucket_quantile(0.5, buckets.clone()), 10.0);
        assert_eq!(bucket_quantile(0.7, buckets.clone()), 15.0);
        assert_eq!(bucket_quantile(0.95, buckets.clone()), 20.0);
        assert_eq!(bucket_quantile(1.5, buckets.clone()), f64::INFINITY);
        assert!(bucket_quantile(0.5, vec![(10.0, 1.0)]).is_nan());
        assert!(bucket_quantile(0.5, vec![(10.0, 0.0), (f64::INFINITY, 0.0)]).is_nan());
    }
}
