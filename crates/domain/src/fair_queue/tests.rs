use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// An item with its cost and a number of its own.
type Item = (usize, u32);

const BATCH: Bounds = Bounds { items: 50, bytes: 10_000, cost: 2000 };
const MESSAGE: Bounds = Bounds { items: 10, bytes: 2000, cost: usize::MAX };

/// Stops no class.
struct Unlimited;

impl ClassLimiter<u8, Item> for Unlimited {
    fn may_take(&mut self, _: &u8) -> bool {
        true
    }

    fn record_taken(&mut self, _: &u8, _: &Item, _: usize) {}
}

/// Lets class 1 take items of this cost altogether, and the others what they like.
struct Budget(usize);

impl ClassLimiter<u8, Item> for Budget {
    fn may_take(&mut self, class: &u8) -> bool {
        *class != 1 || self.0 > 0
    }

    fn record_taken(&mut self, class: &u8, _: &Item, cost: usize) {
        if *class == 1 {
            self.0 = self.0.saturating_sub(cost);
        }
    }
}

fn queued(class: u8, lane: Lane, item: Item, bytes: usize) -> Queued<u8, Item> {
    Queued { class, lane, item, bytes }
}

fn direct(class: u8, number: u32, cost: usize) -> Queued<u8, Item> {
    queued(class, Lane::Direct, (cost, number), 10)
}

fn take(queue: &mut FairQueue<u8, Item>) -> Vec<(u8, u32)> {
    queue
        .take_batch(BATCH, &mut Unlimited, |_, (cost, _)| *cost)
        .iter()
        .map(|taken| (taken.class, taken.item.1))
        .collect()
}

#[test]
fn a_class_with_one_event_is_in_the_next_batch_however_much_another_has() {
    let mut queue = FairQueue::default();
    (0..1000).for_each(|number| queue.push(direct(1, number, 301)));
    assert_eq!(take(&mut queue).len(), 6, "a batch is cut by its cost");
    for number in 5000..5050 {
        queue.push(direct(2, number, 2));
        assert!(take(&mut queue).contains(&(2, number)));
    }
}

#[test]
fn a_fresh_class_does_not_wait_for_a_batch_that_is_filled_up_with_others() {
    let mut queue = FairQueue::default();
    (0..60).for_each(|number| queue.push(direct(1, number, 10)));
    assert_eq!(take(&mut queue).len(), 50, "a class alone fills a batch");
    queue.push(direct(2, 100, 10));
    queue.push(direct(3, 101, 10));
    assert_eq!(take(&mut queue), [(2, 100), (3, 101)]);
    assert_eq!(take(&mut queue).len(), 10);
}

/// Thousands of brands with few events leave nearly every batch with a fresh class.
#[test]
fn a_busy_class_fills_batches_beside_many_classes_with_few_events() {
    const BUSY: u8 = 255;
    const STEPS: u32 = 100;
    let mut queue = FairQueue::default();
    (0..10_000).for_each(|number| queue.push(direct(BUSY, number, 1)));
    let mut busy = 0;
    let mut quiet = 0_u8;
    for number in 0..STEPS {
        for _ in 0..8 {
            queue.push(direct(quiet, number, 1));
            quiet = (quiet + 1) % 200;
        }
        busy += take(&mut queue).iter().filter(|(class, _)| *class == BUSY).count();
    }
    assert!(busy >= 42 * 50, "{busy} of a busy class in {STEPS} batches with 42 free places each");
}

#[test]
fn a_class_that_has_one_event_at_a_time_does_not_starve_the_others() {
    let mut queue = FairQueue::default();
    (0..20).for_each(|number| queue.push(direct(1, number, 2)));
    let mut batches = 0;
    while queue.classes.get(&1).is_some_and(|class| !class.direct.is_empty()) {
        queue.push(direct(2, 0, 1001));
        queue.push(direct(3, 0, 1001));
        take(&mut queue);
        batches += 1;
    }
    assert!(batches <= 3, "{batches}");
}

#[test]
fn the_two_lanes_of_a_class_alternate() {
    let mut queue = FairQueue::default();
    (0..3).for_each(|number| queue.push(direct(1, number, 1)));
    (10..13).for_each(|number| queue.push(queued(1, Lane::Backlog, (1, number), 10)));
    let numbers: Vec<u32> = take(&mut queue).into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers, [0, 10, 1, 11, 2, 12]);
}

#[test]
fn a_class_that_is_stopped_keeps_its_items_and_stops_no_other() {
    let mut queue = FairQueue::default();
    (0..10).for_each(|number| queue.push(direct(1, number, 2)));
    (10..13).for_each(|number| queue.push(queued(1, Lane::Backlog, (2, number), 10)));
    (20..25).for_each(|number| queue.push(direct(2, number, 2)));
    let mut budget = Budget(3);
    let batch = queue.take_batch(BATCH, &mut budget, |_, (cost, _)| *cost);
    let numbers =
        |class| batch.iter().filter(|taken| taken.class == class).map(|taken| taken.item.1).collect();
    let (first, second): (Vec<u32>, Vec<u32>) = (numbers(1), numbers(2));
    assert_eq!((first, second), (vec![0, 10], vec![20, 21, 22, 23, 24]));
    assert!(queue.take_batch(BATCH, &mut budget, |_, (cost, _)| *cost).is_empty());
    let moved: Vec<u32> =
        queue.take_class(&1, Lane::Direct, MESSAGE).iter().map(|taken| taken.item.1).collect();
    assert_eq!(moved, (1..10).collect::<Vec<_>>());
    assert_eq!(queue.lane_size(&1, Lane::Direct), Size::default());
    assert_eq!(queue.take_class(&1, Lane::Backlog, MESSAGE).len(), 2);
    assert!(queue.is_empty() && queue.take_class(&1, Lane::Backlog, MESSAGE).is_empty());
    queue.push(direct(1, 99, 2));
    assert_eq!(take(&mut queue), [(1, 99)], "it takes turns again");
}

#[test]
fn an_empty_queue_remembers_no_class() {
    let empty_by: [fn(&mut FairQueue<u8, Item>); 3] = [
        |queue| drop(take(queue)),
        |queue| drop(queue.take_class(&1, Lane::Direct, MESSAGE)),
        |queue| queue.retain(|_| false),
    ];
    for empty in empty_by {
        let mut queue = FairQueue::default();
        queue.push(direct(1, 0, 1));
        empty(&mut queue);
        assert!(queue.classes.is_empty() && queue.fresh.is_empty() && queue.waiting.is_empty());
    }
}

#[test]
fn items_that_are_put_back_come_first() {
    let mut queue = FairQueue::default();
    (0..4).for_each(|number| queue.push(direct(1, number, 1)));
    let mut batch = queue.take_batch(BATCH, &mut Unlimited, |_, _| 1);
    queue.push(direct(1, 4, 1));
    queue.put_back(batch.split_off(2));
    let numbers: Vec<u32> = take(&mut queue).into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers, [2, 3, 4]);
}

#[test]
fn items_that_could_not_be_moved_are_where_they_were() {
    let capacity = Bounds { items: 20, bytes: 20_000, cost: usize::MAX };
    let mut queue = FairQueue::default();
    (0..30).for_each(|number| queue.push(direct(1, number, 1)));
    let take_moved = |queue: &mut FairQueue<u8, Item>| {
        queue.take_surplus(capacity, MESSAGE, |_| true).map(|(_, moved)| moved)
    };
    let moved = vec![take_moved(&mut queue).expect("a surplus"), take_moved(&mut queue).expect("a surplus")];
    assert_eq!(queue.len(), 10);
    queue.put_back_newest(moved);
    let numbers: Vec<u32> = take(&mut queue).into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers, (0..30).collect::<Vec<_>>());
}

#[test]
fn only_the_newest_events_beyond_a_share_are_moved() {
    let capacity = Bounds { items: 100, bytes: 100_000, cost: usize::MAX };
    let mut queue = FairQueue::default();
    (0..100).for_each(|number| queue.push(direct(1, number, 1)));
    (0..20).for_each(|number| queue.push(direct(2, number, 1)));
    assert_eq!(
        queue.take_surplus(capacity, MESSAGE, |class| *class != 1),
        None,
        "class 2 is below its share"
    );
    let mut moved = Vec::new();
    while let Some((class, items)) = queue.take_surplus(capacity, MESSAGE, |_| true) {
        assert_eq!((class, items.len() <= MESSAGE.items), (1, true));
        moved.extend(items.iter().map(|moved| moved.item.1));
    }
    moved.sort_unstable();
    assert_eq!(moved, (33..100).collect::<Vec<_>>(), "a third is the share of two classes and one unseen");
    assert_eq!(queue.size(Lane::Direct).items, 33 + 20);
}

#[test]
fn a_lone_class_leaves_half_of_the_room_and_large_events_are_moved_alone() {
    let capacity = Bounds { items: 100, bytes: 10_000, cost: usize::MAX };
    let mut queue = FairQueue::default();
    (0..4).for_each(|number| queue.push(queued(1, Lane::Direct, (1, number), 3000)));
    let (_, moved) = queue.take_surplus(capacity, MESSAGE, |_| true).expect("bytes exceed the share");
    assert_eq!(moved.len(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Push { class: u8, lane: Lane, cost: usize, bytes: usize },
    Take { put_back: usize },
    Move,
    Forget { modulo: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..6u8, any::<bool>(), 1..1500usize, 0..3000usize).prop_map(|(class, is_direct, cost, bytes)| {
            let lane = if is_direct { Lane::Direct } else { Lane::Backlog };
            Step::Push { class, lane, cost, bytes }
        }),
        2 => (0..5usize).prop_map(|put_back| Step::Take { put_back }),
        1 => Just(Step::Move),
        1 => (2..9u32).prop_map(|modulo| Step::Forget { modulo }),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_or_duplicated_and_bounds_hold(steps in prop::collection::vec(step(), 0..200)) {
        let capacity = Bounds { items: 20, bytes: 20_000, cost: usize::MAX };
        let mut queue = FairQueue::default();
        let mut expected = BTreeMap::new();
        for (number, step) in (0u32..).zip(steps) {
            match step {
                Step::Push { class, lane, cost, bytes } => {
                    queue.push(queued(class, lane, (cost, number), bytes));
                    expected.insert(number, (class, bytes));
                }
                Step::Take { put_back } => {
                    let mut batch = queue.take_batch(BATCH, &mut Unlimited, |_, (cost, _)| *cost);
                    prop_assert!(batch.is_empty() == expected.is_empty());
                    let cost: usize = batch.iter().map(|taken| taken.item.0).sum();
                    let bytes: usize = batch.iter().map(|taken| taken.bytes).sum();
                    let is_within = cost <= BATCH.cost && bytes <= BATCH.bytes && batch.len() <= BATCH.items;
                    prop_assert!(batch.len() <= 1 || is_within);
                    let left = batch.split_off(batch.len() - put_back.min(batch.len()));
                    queue.put_back(left);
                    for taken in batch {
                        let number = taken.item.1;
                        prop_assert_eq!(expected.remove(&number), Some((taken.class, taken.bytes)));
                    }
                }
                Step::Move => {
                    for moved in queue.take_surplus(capacity, MESSAGE, |_| true).into_iter().flat_map(|(_, moved)| moved) {
                        prop_assert_eq!(moved.lane, Lane::Direct);
                        prop_assert!(expected.remove(&moved.item.1).is_some());
                    }
                }
                Step::Forget { modulo } => {
                    queue.retain(|(_, number)| number % modulo != 0);
                    expected.retain(|number, _| number % modulo != 0);
                }
            }
            prop_assert_eq!(queue.len(), expected.len());
            let bytes: usize = expected.values().map(|(_, bytes)| bytes).sum();
            prop_assert_eq!(queue.size(Lane::Direct).bytes + queue.size(Lane::Backlog).bytes, bytes);
        }
        while !queue.is_empty() {
            for taken in queue.take_batch(BATCH, &mut Unlimited, |_, (cost, _)| *cost) {
                prop_assert!(expected.remove(&taken.item.1).is_some());
            }
        }
        prop_assert!(expected.is_empty() && queue.classes.is_empty());
    }

    #[test]
    fn every_class_with_events_gets_a_turn_within_one_round(costs in prop::collection::vec(1..1002usize, 1..30)) {
        let mut queue = FairQueue::default();
        for (class, cost) in (0u8..).zip(&costs) {
            (0..100).for_each(|number| queue.push(direct(class, number, *cost)));
        }
        let mut seen = std::collections::BTreeSet::new();
        // A class spends its credit for one turn and at most one event more.
        let mut spent = 0;
        while seen.len() < costs.len() {
            for taken in queue.take_batch(BATCH, &mut Unlimited, |_, (cost, _)| *cost) {
                spent += taken.item.0;
                seen.insert(taken.class);
            }
            prop_assert!(spent <= (costs.len() + 1) * 1101 + BATCH.cost);
        }
    }
}
