//! JSON merge patch (RFC 7396): an absent field stays, `null` clears it, a value replaces it.

/// A change of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field is absent and stays as it is.
    Keep,
    /// The field is `null` and is cleared.
    Clear,
    /// The field gets this value.
    Set(T),
}

impl<T> Patch<T> {
    /// Applies the change to `field`; a cleared field gets the value `cleared`.
    pub(crate) fn apply(self, field: &mut T, cleared: T) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = cleared,
            Self::Set(value) => *field = value,
        }
    }

    /// Returns the value of a field that was empty before the change.
    #[must_use]
    pub(crate) fn into_option(self) -> Option<T> {
        match self {
            Self::Keep | Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// Applies the change to an optional field.
    pub(crate) fn apply_to_option(self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *field = None,
            Self::Set(value) => *field = Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_null_and_value_differ() {
        for (patch, expected) in [(Patch::Keep, 1), (Patch::Clear, 10), (Patch::Set(5), 5)] {
            let mut field = 1;
            patch.apply(&mut field, 10);
            assert_eq!(field, expected);
        }
        for (patch, expected) in [(Patch::Keep, Some(1)), (Patch::Clear, None), (Patch::Set(5), Some(5))] {
            let mut field = Some(1);
            patch.apply_to_option(&mut field);
            assert_eq!(field, expected);
        }
    }
}
