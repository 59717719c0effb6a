//! How hard an endpoint is pressed: the number of requests in flight halves with each failure, down
//! to one, and grows by one with each success (additive increase, multiplicative decrease).

/// Requests that may be in flight to one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pressure {
    most: u16,
    now: u16,
}

impl Pressure {
    /// Full pressure: `most` at once, one at least.
    #[must_use]
    pub fn new(most: u16) -> Self {
        Self { most: most.max(1), now: most.max(1) }
    }

    /// How many may be in flight now.
    #[must_use]
    pub fn in_flight(self) -> u16 {
        self.now
    }

    /// Takes in how a request ended.
    pub fn report(&mut self, delivered: bool) {
        self.now = if delivered { (self.now + 1).min(self.most) } else { (self.now / 2).max(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn failures_lead_to_one_quickly_and_successes_back_to_full() {
        let mut pressure = Pressure::new(10);
        (0..4).for_each(|_| pressure.report(false));
        assert_eq!(pressure.in_flight(), 1);
        (0..9).for_each(|_| pressure.report(true));
        assert_eq!(pressure.in_flight(), 10);
    }

    proptest! {
        #[test]
        fn it_stays_within_one_and_the_most(most in 0u16..200, ends in prop::collection::vec(any::<bool>(), 0..300)) {
            let mut pressure = Pressure::new(most);
            for delivered in ends {
                pressure.report(delivered);
                prop_assert!((1..=most.max(1)).contains(&pressure.in_flight()));
            }
        }
    }
}
