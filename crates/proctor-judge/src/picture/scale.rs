//! From seconds to pixels. The time until landing gets most of the width; what comes after it is drawn shorter.

/// Part of the width that the time until landing gets, when what comes after it would take more than the rest.
const BEFORE: f64 = 0.8;

/// A time axis of one or two parts, each with its own scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    start: f64,
    end: f64,
    left: f64,
    right: f64,
    /// Where the second part begins: second and pixel.
    knee: Option<(f64, f64)>,
}

/// A part of the axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) left: f64,
    pub(super) right: f64,
}

impl Scale {
    /// An axis from `start` to `end` seconds between two pixels. `landing` is when waiting for landing ended.
    pub(super) fn new((start, end): (f64, f64), (left, right): (f64, f64), landing: Option<f64>) -> Self {
        let share = |at: f64| (at - start) / (end - start);
        let knee = landing.filter(|at| *at > start && *at < end && share(*at) < BEFORE);
        Self { start, end, left, right, knee: knee.map(|at| (at, left + (right - left) * BEFORE)) }
    }

    /// The pixel of a second.
    pub(super) fn x(&self, at: f64) -> f64 {
        let part = self.parts().into_iter().rev().find(|part| at >= part.from).unwrap_or_else(|| self.first());
        part.left + (at - part.from) / (part.to - part.from) * (part.right - part.left)
    }

    /// Its parts, left to right.
    pub(super) fn parts(&self) -> Vec<Part> {
        let Some((at, x)) = self.knee else { return vec![self.first()] };
        vec![self.first(), Part { from: at, to: self.end, left: x, right: self.right }]
    }

    fn first(&self) -> Part {
        let (to, right) = self.knee.unwrap_or((self.end, self.right));
        Part { from: self.start, to, left: self.left, right }
    }

    /// How many times shorter the second part is drawn.
    pub(super) fn shrinks(&self) -> Option<f64> {
        let [first, second] = self.parts().try_into().ok()?;
        let density = |part: Part| (part.to - part.from) / (part.right - part.left);
        Some(density(second) / density(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_until_landing_gets_most_of_the_width() {
        let scale = Scale::new((0.0, 100.0), (100.0, 1100.0), Some(20.0));
        assert_eq!([0.0, 10.0, 20.0, 60.0, 100.0].map(|at| scale.x(at)), [100.0, 500.0, 900.0, 1000.0, 1100.0]);
        assert_eq!(scale.shrinks(), Some(16.0));
    }

    #[test]
    fn an_axis_without_a_landing_or_with_a_late_one_has_one_scale() {
        for landing in [None, Some(90.0), Some(0.0), Some(100.0), Some(-5.0), Some(500.0)] {
            let scale = Scale::new((0.0, 100.0), (0.0, 1000.0), landing);
            assert_eq!((scale.x(50.0), scale.shrinks(), scale.parts().len()), (500.0, None, 1), "{landing:?}");
        }
    }
}
