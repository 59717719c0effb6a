//! The error of the demo.

/// An error for the person at the terminal.
pub type DemoError = Box<dyn std::error::Error + Send + Sync>;
