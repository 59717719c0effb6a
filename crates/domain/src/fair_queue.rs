//! The order in which the router handles the events of different brands.
//!
//! [`FairQueue`] holds the events that were read ahead, one class for each brand. [`FairQueue::take_batch`] gives the
//! classes turns by deficit round robin: a class may take events while it has credit, each event costs its deliveries,
//! and a class without credit waits for its next turn. A class that becomes active goes before the classes that were
//! active in the round before (as in fq_codel), so that a brand with few events waits for no other brand.
//!
//! [`FairQueue::take_surplus`] chooses the events to move into a brand's backlog when the queue is full. A [`ClassLimiter`]
//! keeps classes from taking turns, and [`FairQueue::take_class`] takes their events, so that they wait in the backlog.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Credit of a class for one turn, in events plus deliveries. A turn is short beside a batch, so that a batch has room
/// for the turns of several brands.
const CREDIT_PER_TURN: i64 = 100;

/// Where an item came from, and whether it can be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// From a queue that all brands share. [`FairQueue::take_surplus`] may move it.
    Direct,
    /// From the backlog of the class.
    Backlog,
}

/// Bounds of a set of items. The first item is always within the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Maximum number of items.
    pub items: usize,
    /// Maximum of their bytes.
    pub bytes: usize,
    /// Maximum of their costs.
    pub cost: usize,
}

/// An item of a [`FairQueue`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued<K, T> {
    /// Its class.
    pub class: K,
    /// Where it came from.
    pub lane: Lane,
    /// The item.
    pub item: T,
    /// Its size.
    pub bytes: usize,
}

/// Decides which classes may take turns.
pub trait ClassLimiter<K, T> {
    /// Returns whether a class may take an item now.
    fn may_take(&mut self, class: &K) -> bool;

    /// Records that a class took an item of this cost.
    fn record_taken(&mut self, class: &K, item: &T, cost: usize);
}

/// Items in classes that take turns. The caller bounds the number of items.
#[derive(Debug)]
pub struct FairQueue<K, T> {
    classes: HashMap<K, Class<T>>,
    /// Classes in their first turn since they became active.
    fresh: VecDeque<K>,
    /// The other active classes, in the order of their turns.
    waiting: VecDeque<K>,
    direct: Size,
    backlog: Size,
    /// Whether the last batch was cut, so that its fresh classes did not wait for others.
    was_cut: bool,
}

/// A number of items and their bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// The number of items.
    pub items: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// The items of one class.
#[derive(Debug)]
struct Class<T> {
    direct: VecDeque<(T, usize)>,
    backlog: VecDeque<(T, usize)>,
    direct_bytes: usize,
    backlog_bytes: usize,
    /// What the class may still spend in this turn. An item may cost more than is left; the class then waits longer.
    credit: i64,
    /// The lane of the item taken last. The lanes alternate, so that neither waits for the other.
    last: Lane,
}

impl<T> Default for Class<T> {
    fn default() -> Self {
        Self {
            direct: VecDeque::new(),
            backlog: VecDeque::new(),
            direct_bytes: 0,
            backlog_bytes: 0,
            credit: CREDIT_PER_TURN,
            last: Lane::Backlog,
        }
    }
}

impl<K, T> Default for FairQueue<K, T> {
    fn default() -> Self {
        Self {
            classes: HashMap::new(),
            fresh: VecDeque::new(),
            waiting: VecDeque::new(),
            direct: Size::default(),
            backlog: Size::default(),
            was_cut: false,
        }
    }
}

impl Size {
    fn add(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.items -= 1;
        self.bytes -= bytes;
    }
}

impl<T> Class<T> {
    fn next_lane(&self) -> Option<Lane> {
        match (self.direct.is_empty(), self.backlog.is_empty()) {
            (true, true) => None,
            (false, true) => Some(Lane::Direct),
            (true, false) => Some(Lane::Backlog),
            (false, false) if self.last == Lane::Direct => Some(Lane::Backlog),
            (false, false) => Some(Lane::Direct),
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut VecDeque<(T, usize)> {
        match lane {
            Lane::Direct => &mut self.direct,
            Lane::Backlog => &mut self.backlog,
        }
    }

    fn bytes(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Direct => &mut self.direct_bytes,
            Lane::Backlog => &mut self.backlog_bytes,
        }
    }
}

impl<K: Clone + Eq + Hash, T> FairQueue<K, T> {
    /// Adds an item to the end of its lane.
    pub fn push(&mut self, queued: Queued<K, T>) {
        let Queued { class, lane, item, bytes } = queued;
        self.count(lane, bytes);
        let entry = self.activate(class);
        *entry.bytes(lane) += bytes;
        entry.lane(lane).push_back((item, bytes));
    }

    /// Puts items back that were taken and not handled, to the front of their lanes in the order of the batch.
    pub fn put_back(&mut self, batch: Vec<Queued<K, T>>) {
        for Queued { class, lane, item, bytes } in batch.into_iter().rev() {
            self.count(lane, bytes);
            let entry = self.activate(class);
            *entry.bytes(lane) += bytes;
            entry.lane(lane).push_front((item, bytes));
        }
    }

    /// Puts items back that [`Self::take_surplus`] or [`Self::take_class`] took, to the end of their lanes, where they were.
    /// `taken` contains the results in the order in which they were taken.
    pub fn put_back_newest(&mut self, taken: Vec<Vec<Queued<K, T>>>) {
        // The first result has the newest items.
        taken.into_iter().rev().flatten().for_each(|queued| self.push(queued));
    }

    /// Takes the items of the next turns that are within the bounds. `cost` returns the cost of an item. The batch is empty
    /// if the limiter stops every class.
    pub fn take_batch(
        &mut self,
        bounds: Bounds,
        limiter: &mut impl ClassLimiter<K, T>,
        cost: impl Fn(&K, &T) -> usize,
    ) -> Vec<Queued<K, T>> {
        let mut batch = Vec::new();
        let mut left = bounds;
        let mut stopped = Vec::new();
        // A batch with items of fresh classes is not filled up with those of others, for which they would have to wait. Not
        // twice in a row, because otherwise many brands with few events would leave the others hardly any turns.
        let may_cut = !std::mem::take(&mut self.was_cut);
        let mut has_fresh = false;
        while !self.is_empty() {
            let is_fresh = !self.fresh.is_empty();
            let Some(key) = self.fresh.pop_front().or_else(|| self.waiting.pop_front()) else { break };
            if may_cut && has_fresh && !is_fresh && !contains_class(&batch, &key) {
                self.waiting.push_front(key);
                self.was_cut = true;
                break;
            }
            let Some(class) = self.classes.get_mut(&key) else { continue };
            let Some(lane) = class.next_lane() else {
                // A class that became empty keeps its turn and its debt for one round, so that a class cannot be first
                // again and again by having one item at a time.
                if is_fresh {
                    self.waiting.push_back(key);
                } else {
                    self.classes.remove(&key);
                }
                continue;
            };
            if !limiter.may_take(&key) {
                stopped.push(key);
                continue;
            }
            if class.credit <= 0 {
                class.credit += CREDIT_PER_TURN;
                self.waiting.push_back(key);
                continue;
            }
            let Some((item, bytes)) = class.lane(lane).front() else { continue };
            let (bytes, cost) = (*bytes, cost(&key, item));
            let turns = if is_fresh { &mut self.fresh } else { &mut self.waiting };
            turns.push_front(key.clone());
            if !batch.is_empty() && !left.has_room(bytes, cost) {
                break;
            }
            left.use_up(bytes, cost);
            class.credit -= i64::try_from(cost).unwrap_or(i64::MAX);
            class.last = lane;
            let Some((item, bytes)) = class.lane(lane).pop_front() else { continue };
            *class.bytes(lane) -= bytes;
            self.uncount(lane, bytes);
            limiter.record_taken(&key, &item, cost);
            has_fresh |= is_fresh;
            batch.push(Queued { class: key, lane, item, bytes });
        }
        self.waiting.extend(stopped);
        self.forget_turns_if_empty();
        batch
    }

    /// Takes the newest direct items of the class that exceeds its share by most, for one message of its backlog;
    /// `None` if no class exceeds its share.
    ///
    /// The share is the capacity divided by one more than the classes with direct items, so that there is always room
    /// for a class whose items are not read yet.
    pub fn take_surplus(
        &mut self,
        capacity: Bounds,
        message: Bounds,
        can_move: impl Fn(&K) -> bool,
    ) -> Option<(K, Vec<Queued<K, T>>)> {
        let active = self.classes.values().filter(|class| !class.direct.is_empty()).count();
        let share = Size { items: capacity.items / (active + 1), bytes: capacity.bytes / (active + 1) };
        let excess = |class: &Class<T>| {
            let items = class.direct.len().saturating_sub(share.items) * 1000 / share.items.max(1);
            let bytes = class.direct_bytes.saturating_sub(share.bytes) * 1000 / share.bytes.max(1);
            items.max(bytes)
        };
        let candidates = self.classes.iter().filter(|(key, class)| excess(class) > 0 && can_move(key));
        let key = candidates.max_by_key(|(_, class)| excess(class)).map(|(key, _)| key.clone())?;
        let moved = self.take_newest(&key, Lane::Direct, message, share);
        Some((key, moved))
    }

    /// Takes the newest items of a class and lane, for one message of its backlog.
    pub fn take_class(&mut self, class: &K, lane: Lane, message: Bounds) -> Vec<Queued<K, T>> {
        self.take_newest(class, lane, message, Size::default())
    }

    /// Takes the newest items of a class and lane for one message, as long as more than `kept` are left.
    fn take_newest(&mut self, key: &K, lane: Lane, message: Bounds, kept: Size) -> Vec<Queued<K, T>> {
        let mut taken = Vec::new();
        let mut left = message;
        let mut size = self.lane_size(key, lane);
        while size.items > kept.items || size.bytes > kept.bytes {
            let Some(class) = self.classes.get_mut(key) else { break };
            let Some((_, bytes)) = class.lane(lane).back() else { break };
            if !taken.is_empty() && !left.has_room(*bytes, 0) {
                break;
            }
            let Some((item, bytes)) = class.lane(lane).pop_back() else { break };
            left.use_up(bytes, 0);
            size.remove(bytes);
            *class.bytes(lane) -= bytes;
            self.uncount(lane, bytes);
            taken.push(Queued { class: key.clone(), lane, item, bytes });
        }
        taken.reverse();
        self.forget_turns_if_empty();
        taken
    }

    /// Removes all items that do not satisfy a condition.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for class in self.classes.values_mut() {
            for lane in [Lane::Direct, Lane::Backlog] {
                class.lane(lane).retain(|(item, _)| keep(item));
            }
            class.direct_bytes = class.direct.iter().map(|(_, bytes)| bytes).sum();
            class.backlog_bytes = class.backlog.iter().map(|(_, bytes)| bytes).sum();
        }
        let size = |lane: fn(&Class<T>) -> &VecDeque<(T, usize)>| {
            let items = || self.classes.values().flat_map(lane);
            Size { items: items().count(), bytes: items().map(|(_, bytes)| bytes).sum() }
        };
        let (direct, backlog) = (size(|class| &class.direct), size(|class| &class.backlog));
        self.direct = direct;
        self.backlog = backlog;
        self.forget_turns_if_empty();
    }

    /// Returns the number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.direct.items + self.backlog.items
    }

    /// Returns whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the size of all items of a lane.
    #[must_use]
    pub fn size(&self, lane: Lane) -> Size {
        match lane {
            Lane::Direct => self.direct,
            Lane::Backlog => self.backlog,
        }
    }

    /// Returns the size of the items of a class and lane.
    #[must_use]
    pub fn lane_size(&self, class: &K, lane: Lane) -> Size {
        let Some(class) = self.classes.get(class) else { return Size::default() };
        match lane {
            Lane::Direct => Size { items: class.direct.len(), bytes: class.direct_bytes },
            Lane::Backlog => Size { items: class.backlog.len(), bytes: class.backlog_bytes },
        }
    }

    fn activate(&mut self, key: K) -> &mut Class<T> {
        if !self.classes.contains_key(&key) {
            self.fresh.push_back(key.clone());
        }
        self.classes.entry(key).or_default()
    }

    /// Forgets the turns and debts of all classes if nobody waits, because then nobody has to wait for anybody.
    fn forget_turns_if_empty(&mut self) {
        if self.is_empty() {
            self.classes.clear();
            self.fresh.clear();
            self.waiting.clear();
        }
    }

    fn count(&mut self, lane: Lane, bytes: usize) {
        match lane {
            Lane::Direct => self.direct.add(bytes),
            Lane::Backlog => self.backlog.add(bytes),
        }
    }

    fn uncount(&mut self, lane: Lane, bytes: usize) {
        match lane {
            Lane::Direct => self.direct.remove(bytes),
            Lane::Backlog => self.backlog.remove(bytes),
        }
    }
}

/// Returns whether a batch has items of a class. It looks at the last item first, because a class takes several in a row.
fn contains_class<K: PartialEq, T>(batch: &[Queued<K, T>], class: &K) -> bool {
    batch.iter().rev().any(|queued| queued.class == *class)
}

impl Bounds {
    fn has_room(&self, bytes: usize, cost: usize) -> bool {
        self.items > 0 && self.bytes >= bytes && self.cost >= cost
    }

    fn use_up(&mut self, bytes: usize, cost: usize) {
        self.items = self.items.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.cost = self.cost.saturating_sub(cost);
    }
}

#[cfg(test)]
mod tests;
