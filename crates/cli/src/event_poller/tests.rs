use super::*;

fn event(id: &str, status: &str) -> Event {
    // The ids of these tests have one to four digits, which become milliseconds.
    let created = format!("2021-04-08T19:36:{:06.3}Z", id.parse::<f64>().unwrap_or(0.0) / 1000.0);
    let json = format!(
        r#"{{"id":"{id}","created":"{created}","type":"A.B","data":1.10,
            "delivery":{{"status":"{status}","attempts":1,"nextAttemptAt":null,"lastError":null}}}}"#
    );
    serde_json::from_str(&json).expect("an event")
}

/// A list of events, newest last, that is served in pages, newest first.
struct Listing {
    events: Vec<Event>,
    page_size: usize,
}

impl Listing {
    fn new(count: usize, page_size: usize) -> Self {
        let events = (0..count).map(|n| event(&format!("{n:04}"), "pending")).collect();
        Self { events, page_size }
    }

    fn set_status(&mut self, id: &str, status: &str) {
        let found = self.events.iter_mut().find(|event| event.id == id).expect("an event");
        found.delivery.status = status.to_owned();
    }

    fn page(&self, cursor: Option<String>) -> Page<Event> {
        let older = |event: &&Event| cursor.as_ref().is_none_or(|cursor| event.id < *cursor);
        let items: Vec<Event> =
            self.events.iter().rev().filter(older).take(self.page_size).cloned().collect();
        let last = items.last().map(|event| event.id.clone());
        let next_cursor = last.filter(|id| *id > self.events[0].id);
        Page { items, next_cursor }
    }

    /// Polls once and returns the ids of the changes.
    async fn poll(&self, finder: &mut ChangeFinder) -> Vec<String> {
        let found = finder.find_changes(async |cursor| Ok(self.page(cursor))).await;
        found.expect("pages").into_iter().map(|event| event.id).collect()
    }
}

#[test]
fn event_is_new_once_and_then_reported_for_changes_only() {
    let mut known = KnownDeliveries::default();
    let first = known.record_change(event("1", "pending")).expect("a new event");
    assert!(first.is_new);
    assert_eq!(first.data.get(), "1.10", "the data keeps its digits");
    assert!(known.record_change(event("1", "pending")).is_none());
    let changed = known.record_change(event("1", "delivered")).expect("a changed event");
    assert!(!changed.is_new);
}

#[test]
fn oldest_events_are_forgotten_first_and_stay_forgotten() {
    let mut known = KnownDeliveries::default();
    for id in ["4", "2", "1", "3", "5"] {
        known.record_change(event(id, "pending"));
    }
    known.forget_oldest(5);
    assert_eq!(known.by_id.len(), 5, "nothing is forgotten up to the maximum");
    known.forget_oldest(4);
    let mut left: Vec<_> = known.by_id.keys().map(String::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["4", "5"]);
    assert!(known.record_change(event("3", "failed")).is_none(), "a forgotten event is not new again");
    assert!(known.record_change(event("6", "pending")).is_some_and(|event| event.is_new));
}

#[tokio::test]
async fn changes_behind_pages_without_changes_are_found() {
    let mut listing = Listing::new(50, 10);
    let mut finder = ChangeFinder::default();
    assert_eq!(listing.poll(&mut finder).await.len(), 50, "the first poll reads everything");
    listing.set_status("0003", "delivered");
    listing.set_status("0047", "delivered");
    let mut found = Vec::new();
    for _ in 0..5 {
        found.extend(listing.poll(&mut finder).await);
    }
    assert_eq!(found, ["0047", "0003"]);
    // The sweep begins again, so that a later change is found, too.
    listing.set_status("0003", "failed");
    let mut found = Vec::new();
    for _ in 0..6 {
        found.extend(listing.poll(&mut finder).await);
    }
    assert_eq!(found, ["0003"]);
}

#[tokio::test]
async fn new_event_with_an_earlier_time_is_found() {
    let mut listing = Listing::new(30, 10);
    let mut finder = ChangeFinder::default();
    listing.events.remove(5);
    listing.poll(&mut finder).await;
    listing.events.insert(5, event("0005", "pending"));
    let mut found = Vec::new();
    for _ in 0..4 {
        found.extend(listing.poll(&mut finder).await);
    }
    assert_eq!(found, ["0005"]);
}

#[tokio::test]
async fn events_beyond_the_first_poll_are_not_new() {
    let listing = Listing::new(MAX_PAGES + 20, 1);
    let mut finder = ChangeFinder::default();
    assert_eq!(listing.poll(&mut finder).await.len(), MAX_PAGES);
    for _ in 0..40 {
        assert!(listing.poll(&mut finder).await.is_empty());
    }
}

#[tokio::test]
async fn error_in_the_middle_of_a_poll_loses_no_change() {
    let mut listing = Listing::new(30, 10);
    let mut finder = ChangeFinder::default();
    listing.poll(&mut finder).await;
    listing.set_status("0029", "delivered");
    let fails_later = async |cursor: Option<String>| match cursor {
        None => Ok(listing.page(None)),
        Some(_) => Err(Error::Unreachable("gone".to_owned())),
    };
    assert!(finder.find_changes(fails_later).await.is_err());
    assert_eq!(listing.poll(&mut finder).await, ["0029"]);
}
