//! The states of a redelivery job.

use crate::vocabulary::vocabulary;

vocabulary! {
    /// The state of a job that redelivers events (contract §4.1).
    JobState {
        /// Some of its deliveries are still to be attempted.
        Running = "running",
        /// All of its deliveries were attempted.
        Finished = "finished",
        /// The webhook stopped receiving before the end.
        Stopped = "stopped",
        /// A person cancelled it before the end.
        Cancelled = "cancelled",
    }
}
