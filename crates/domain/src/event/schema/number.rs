//! Numbers of any size, as schemas see them.

use std::borrow::Cow;

use jsonschema::json::JsonNumber;
use serde_json::Number;

use super::metered::Meter;

/// Most digits of a number that is written out to divide it, because its exponent may be any number.
const MAX_WRITTEN_DIGITS: i64 = 512;
/// Most digits of an exponent that are read. Nobody can tell larger ones apart.
const MAX_EXPONENT_DIGITS: usize = 18;

/// A number of the data. Beyond a double it counts as greater than every limit, or less, and its digits stay known.
#[derive(Debug, Clone)]
pub(super) struct DataNumber<'a> {
    text: &'a str,
    /// The value as `serde_json` reads it, which also reads the limits of schemas; `None` beyond a double.
    value: Option<Number>,
    meter: &'a Meter,
}

impl<'a> DataNumber<'a> {
    /// Reads a number as it is written.
    pub(super) fn read(text: &'a str, meter: &'a Meter) -> Self {
        Self { text, value: serde_json::from_str(text).ok(), meter }
    }
}

impl JsonNumber for DataNumber<'_> {
    fn as_u64(&self) -> Option<u64> {
        self.value.as_ref()?.as_u64()
    }

    fn as_i64(&self) -> Option<i64> {
        self.value.as_ref()?.as_i64()
    }

    fn as_f64(&self) -> Option<f64> {
        self.value.as_ref()?.as_f64()
    }

    /// Writes an exponent out, because the validator divides plain digits exactly.
    fn as_str(&self) -> Cow<'_, str> {
        match Decimal::read(self.text).write_out() {
            Some(digits) => {
                self.meter.spend_text(digits.len());
                Cow::Owned(digits)
            }
            None => Cow::Borrowed(self.text),
        }
    }

    fn to_number(&self) -> Cow<'_, Number> {
        match &self.value {
            Some(value) => Cow::Borrowed(value),
            None => Cow::Owned(clamp(self.text)),
        }
    }

    fn is_integer(&self) -> bool {
        Decimal::read(self.text).exponent >= 0
    }

    fn is_written_as_integer(&self) -> bool {
        !self.text.contains(['.', 'e', 'E'])
    }
}

/// Returns the largest or smallest double, in place of a number beyond it.
pub(super) fn clamp(text: &str) -> Number {
    let largest = if text.starts_with('-') { f64::MIN } else { f64::MAX };
    Number::from_f64(largest).unwrap_or_else(|| 0.into())
}

/// A number as digits without zeros at either end, times a power of ten. Equal numbers have equal decimals.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a JSON number.
    pub(super) fn read(text: &str) -> Self {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        let kept = all.trim_end_matches('0');
        let shift = all.len() - kept.len();
        let digits = kept.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Self { is_negative: false, digits, exponent: 0 };
        }
        let shift = i64::try_from(shift).unwrap_or(0) - i64::try_from(fraction.len()).unwrap_or(0);
        let exponent = read_exponent(exponent).saturating_add(shift);
        Self { is_negative: text.starts_with('-'), digits, exponent }
    }

    /// Returns a text that equal numbers share.
    pub(super) fn canonical_text(&self) -> String {
        let sign = if self.is_negative { "-" } else { "" };
        format!("{sign}{}e{}", self.digits, self.exponent)
    }

    /// Writes a whole number without an exponent; `None` if it has a fraction or too many digits.
    fn write_out(&self) -> Option<String> {
        let zeros = usize::try_from(self.exponent).ok().filter(|_| self.exponent <= MAX_WRITTEN_DIGITS)?;
        let sign = if self.is_negative { "-" } else { "" };
        let digits = if self.digits.is_empty() { "0" } else { &self.digits };
        Some(format!("{sign}{digits}{}", "0".repeat(zeros)))
    }
}

fn read_exponent(text: &str) -> i64 {
    let is_negative = text.starts_with('-');
    let digits = text.trim_start_matches(['-', '+']).trim_start_matches('0');
    let size = match digits.len() {
        0 => 0,
        1..=MAX_EXPONENT_DIGITS => digits.parse().unwrap_or(0),
        _ => i64::MAX / 4,
    };
    if is_negative { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_equal_decimals() {
        for (a, b) in [
            ("1", "1.0"),
            ("100", "1e2"),
            ("0.001", "1E-3"),
            ("-0", "0.0e7"),
            ("12300", "1.23e+4"),
            ("-5e0", "-5"),
            ("1e400", "10e399"),
        ] {
            assert_eq!(Decimal::read(a), Decimal::read(b), "{a} {b}");
        }
        let others =
            ["1", "-1", "1e400", "1e401", "10", "0.1", "12345678901234567890123", "12345678901234567890124"];
        for (at, a) in others.iter().enumerate() {
            for b in &others[at + 1..] {
                assert_ne!(Decimal::read(a).canonical_text(), Decimal::read(b).canonical_text(), "{a} {b}");
            }
        }
    }

    #[test]
    fn whole_numbers_are_known_and_written_out() {
        let meter = Meter::new(1_000, 1);
        let whole = |text: &'static str| {
            let number = DataNumber::read(text, &meter);
            (number.is_integer(), number.as_str().into_owned())
        };
        assert_eq!(whole("1.50e2"), (true, "150".to_owned()));
        assert_eq!(whole("-2e3"), (true, "-2000".to_owned()));
        assert_eq!(whole("0.0"), (true, "0".to_owned()));
        assert_eq!(whole("1e400"), (true, format!("1{}", "0".repeat(400))));
        assert_eq!(whole("1e99999999999999999999"), (true, "1e99999999999999999999".to_owned()));
        assert_eq!(whole("1e-99999999999999999999"), (false, "1e-99999999999999999999".to_owned()));
        assert_eq!(whole("1.5"), (false, "1.5".to_owned()));
    }
}
