use crate::{
    BasicProperties,
    socket_state::SocketStateHandle,
    types::{AMQPValue, FieldTable},
};
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Memory of a message beside its body and headers: names, properties and handles.
const MESSAGE_OVERHEAD: usize = 1024;

/// Bound, in bytes, on the messages that one connection has received for its consumers and the application still holds.
///
/// A message counts from its arrival until its [`Delivery`](crate::message::Delivery) is dropped. While the budget is
/// used up, the connection does not read from its socket, so that the server has to wait. It still writes
/// acknowledgements and heartbeats, and the pause does not count as missing heartbeats of the server. Reading never
/// pauses inside a message, so a message that is larger than the budget passes alone. It does not pause either while
/// a consumer is being cancelled, because the answer comes behind the messages on their way; those that arrive while
/// other messages use up the budget are dropped unacknowledged then.
///
/// An application that has dropped the properties of a message gives their part back with
/// [`Delivery::release_properties`](crate::message::Delivery::release_properties).
///
/// A budget belongs to one connection.
#[derive(Clone)]
pub struct ReceiveBudget(Arc<Inner>);

struct Inner {
    max: usize,
    held: AtomicUsize,
    peak: AtomicUsize,
    /// Messages of which a part has arrived.
    incomplete: AtomicUsize,
    /// Consumers that are neither cancelled nor being cancelled.
    active: AtomicUsize,
    /// Consumers that are being cancelled.
    cancelling: AtomicUsize,
    waker: OnceLock<SocketStateHandle>,
}

impl ReceiveBudget {
    /// Creates a budget of `max` bytes for one connection.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Inner {
            max,
            held: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            incomplete: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            cancelling: AtomicUsize::new(0),
            waker: OnceLock::new(),
        }))
    }

    /// Bytes of the messages that were received and not dropped yet.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::SeqCst)
    }

    /// The highest value of [`held`](Self::held) so far.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.0.peak.load(Ordering::SeqCst)
    }

    pub(crate) fn attach(&self, waker: SocketStateHandle) {
        let _ = self.0.waker.set(waker);
    }

    pub(crate) fn exceeded(&self) -> bool {
        self.held() >= self.0.max
    }

    /// Whether the connection must not read now. It is woken up when that changes.
    pub(crate) fn paused(&self) -> bool {
        self.exceeded()
            && self.0.incomplete.load(Ordering::SeqCst) == 0
            && self.0.active.load(Ordering::SeqCst) > 0
            && self.0.cancelling.load(Ordering::SeqCst) == 0
    }

    fn add(&self, bytes: usize) {
        let held = self.0.held.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.0.peak.fetch_max(held, Ordering::SeqCst);
    }

    fn remove(&self, bytes: usize) {
        let before = self.0.held.fetch_sub(bytes, Ordering::SeqCst);
        if before >= self.0.max && before - bytes < self.0.max {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.0.waker.get() {
            waker.wake();
        }
    }
}

impl fmt::Debug for ReceiveBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveBudget")
            .field("max", &self.0.max)
            .field("held", &self.held())
            .finish()
    }
}

/// The part of the budget that one message holds.
pub(crate) struct ReceivePermit {
    budget: ReceiveBudget,
    bytes: usize,
    /// The part of `bytes` that the parsed headers take.
    property_bytes: usize,
    complete: bool,
}

impl ReceivePermit {
    pub(crate) fn new(budget: &ReceiveBudget) -> Self {
        budget.0.incomplete.fetch_add(1, Ordering::SeqCst);
        budget.add(MESSAGE_OVERHEAD);
        Self {
            budget: budget.clone(),
            bytes: MESSAGE_OVERHEAD,
            property_bytes: 0,
            complete: false,
        }
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        self.budget.add(bytes);
        self.bytes += bytes;
    }

    pub(crate) fn add_properties(&mut self, properties: &BasicProperties) {
        let bytes = properties.headers().as_ref().map_or(0, table_bytes);
        self.property_bytes += bytes;
        self.add(bytes);
    }

    pub(crate) fn release_properties(&mut self, kept: usize) {
        let released = self.property_bytes.saturating_sub(kept);
        self.property_bytes -= released;
        self.bytes -= released;
        self.budget.remove(released);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn complete(&mut self) {
        if !std::mem::replace(&mut self.complete, true) {
            self.budget.0.incomplete.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for ReceivePermit {
    fn drop(&mut self) {
        self.complete();
        self.budget.remove(self.bytes);
    }
}

impl fmt::Debug for ReceivePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivePermit")
            .field("bytes", &self.bytes)
            .finish()
    }
}

/// Counts a consumer in the budget of its connection.
pub(crate) struct BudgetedConsumer {
    budget: ReceiveBudget,
    cancelling: bool,
}

impl BudgetedConsumer {
    pub(crate) fn new(budget: ReceiveBudget) -> Self {
        budget.0.active.fetch_add(1, Ordering::SeqCst);
        Self {
            budget,
            cancelling: false,
        }
    }

    pub(crate) fn budget(&self) -> &ReceiveBudget {
        &self.budget
    }

    pub(crate) fn start_cancel(&mut self) {
        if !std::mem::replace(&mut self.cancelling, true) {
            self.budget.0.cancelling.fetch_add(1, Ordering::SeqCst);
            self.budget.0.active.fetch_sub(1, Ordering::SeqCst);
            self.budget.wake();
        }
    }

    /// Whether a message of this size that has arrived is dropped, because nobody takes the messages before it any more.
    /// The message itself does not count, so that a message larger than the budget is not lost.
    pub(crate) fn drops_message(&self, bytes: usize) -> bool {
        self.cancelling && self.budget.held().saturating_sub(bytes) >= self.budget.0.max
    }
}

impl Drop for BudgetedConsumer {
    fn drop(&mut self) {
        if self.cancelling {
            self.budget.0.cancelling.fetch_sub(1, Ordering::SeqCst);
        } else {
            self.budget.0.active.fetch_sub(1, Ordering::SeqCst);
            self.budget.wake();
        }
    }
}

fn table_bytes(table: &FieldTable) -> usize {
    let entries = table.inner().iter();
    entries
        .map(|(name, value)| size_of_val(name) + name.as_bytes().len() + value_bytes(value))
        .sum()
}

fn value_bytes(value: &AMQPValue) -> usize {
    let content = match value {
        AMQPValue::LongString(text) => text.as_bytes().len(),
        AMQPValue::ByteArray(bytes) => bytes.len(),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(value_bytes).sum(),
        AMQPValue::FieldTable(table) => table_bytes(table),
        _ => 0,
    };
    size_of_val(value) + content
}
